"""Tagging: several labels a picture, zero-shot from its places, label-free, or learnt from pictures and texts."""

from pairspace.tagging.calibration import Platt, Ranks, ZScores
from pairspace.tagging.cdul import CdulOptions, Student, aggregate, pseudo_labels, train_student
from pairspace.tagging.checks import check_classes, check_labels
from pairspace.tagging.classifier import FUSIONS, TagClassifier
from pairspace.tagging.contact_sheet import Sheet, contact_sheet
from pairspace.tagging.joint import JointOptions, fit_classifier
from pairspace.tagging.labels import frequent_classes, label_matrix, lists_of, read_classes, read_labels
from pairspace.tagging.local import LocalOptions, LocalScores, local_scores
from pairspace.tagging.losses import LOSSES
from pairspace.tagging.maps import MapOptions, MapScores, map_scores
from pairspace.tagging.pages import tag_page
from pairspace.tagging.scores import global_scores
from pairspace.tagging.tagger import Tagger
from pairspace.tagging.templates import BACKGROUND, CLIP_7, CLIP_80, PHOTO, SCENE, class_vectors
from pairspace.tagging.thresholds import best_threshold, best_thresholds
from pairspace.tagging.writing import Tags, write_tags, write_xmp, xmp
from pairspace.tagging.zero_shot import ZeroShot, open_space

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
    "Tagger",
    "Tags",
    "ZScores",
    "ZeroShot",
    "aggregate",
    "best_threshold",
    "best_thresholds",
    "check_classes",
    "check_labels",
    "class_vectors",
    "contact_sheet",
    "fit_classifier",
    "frequent_classes",
    "global_scores",
    "label_matrix",
    "lists_of",
    "local_scores",
    "map_scores",
    "open_space",
    "pseudo_labels",
    "read_classes",
    "read_labels",
    "tag_page",
    "train_student",
    "write_tags",
    "write_xmp",
    "xmp",
]
