"""Diagnosis: what can be known of encoders and spaces before and after training."""

from pairspace.diagnosis.alignability import centred_kernel_alignment, mutual_knn
from pairspace.diagnosis.encoder_pairs import EncoderComparison, LayerPair, compare_encoders

__all__ = ["EncoderComparison", "LayerPair", "centred_kernel_alignment", "compare_encoders", "mutual_knn"]
