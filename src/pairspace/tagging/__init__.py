"""Tagging: several labels a picture, zero-shot from its places, label-free, or learnt from pictures and texts."""

from pairspace.tagging.calibration import Platt, Ranks, ZScores
from pairspace.tagging.cdul import CdulOptions, Student, aggregate, pseudo_labels, train_student
from pairspace.tagging.checks import check_classes, check_labels
from pairspace.tagging.classifier import FUSIONS, TagClassifier
from pairspace.tagging.contact_sheet import Sheet, contact_sheet
from pairspace.tagging.joint import JointOptions, fit_classifier
from pairspace.tagging.local import LocalOptions, LocalScores, local_scores
from pairspace.tagging.losses import LOSSES
from pairspace.tagging.maps import MapOptions, MapScores, map_scores
from pairspace.tagging.scores import global_scores
from pairspace.tagging.templates import BACKGROUND, CLIP_7, CLIP_80, PHOTO, SCENE, class_vectors
from pairspace.tagging.thresholds import best_threshold, best_thresholds
from pairspace.tagging.writing import Tags, write_tags, write_xmp, xmp

__all__ = [
    "BACKGROUND",
    "CLIP_7",
    "CLIP_80",
    "FUSIONS",
    "LOSSES",
    "PHOTO",
    "SCENE",
    "CdulOptions",
    "JointOptions",
    "LocalOptions",
    "LocalScores",
    "MapOptions",
    "MapScores",
    "Platt",
    "Ranks",
    "Sheet",
    "Student",
    "TagClassifier",
    "Tags",
    "ZScores",
    "aggregate",
    "best_threshold",
    "best_thresholds",
    "check_classes",
    "check_labels",
    "class_vectors",
    "contact_sheet",
    "fit_classifier",
    "global_scores",
    "local_scores",
    "map_scores",
    "pseudo_labels",
    "train_student",
    "write_tags",
    "write_xmp",
    "xmp",
]
