"""Training, export and evaluation, on a workstation."""

import os

# TensorFlow's own account of every file that it reads and converts would drown what there is to read.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
