"""Pictures, films and faces: files as tensors and back, and faces found, aligned and laid back."""

from interlayer.media.faces import Aligned, align, find_faces, paste_back
from interlayer.media.images import read_image, write_image
from interlayer.media.video import read_frames, write_video

__all__ = [
    "Aligned",
    "align",
    "find_faces",
    "paste_back",
    "read_frames",
    "read_image",
    "write_image",
    "write_video",
]
