"""Judging estimates: figures against the truth, studies of many, and what theory promises."""

from interlayer.evaluation.quality import coverage, lpips, metrics

__all__ = ["coverage", "lpips", "metrics"]
