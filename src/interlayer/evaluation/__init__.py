"""Figures of estimates against the truth, studies of many recoveries, and bounds of theory."""

from interlayer.evaluation.quality import coverage, lpips, metrics

__all__ = ["coverage", "lpips", "metrics"]
