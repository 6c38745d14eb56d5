"""A user's own images. A folder, archive or CSV table is scanned, validated, and decoded once to a memory-mapped cache."""

from imagestudy.data.folders.dataset import find, list_images, load_folder, scan, settle_folder
from imagestudy.data.folders.decoded_cache import recall
from imagestudy.data.folders.decoding import UnreadableImageError, decode
from imagestudy.data.folders.scan_report import Duplicate, Quarantined, Scan, ScannedImage
