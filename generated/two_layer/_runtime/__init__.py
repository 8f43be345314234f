# Copied unchanged from symdiff/runtime/__init__.py; the same in every generated package. Do not edit.
"""What a kernel needs at run time: standard library and NumPy, cffi when C is built or loaded.

The modules import each other relatively and nothing else of symdiff, so a generated package carries them as verbatim
copies, side by side under these names: `MODULES` and `calls.c` always, `GROUPS` for traced functions, `TRAINING` with
an update rule.
"""

MODULES = (
    "array_engines", "array_kernel", "arrays", "blas", "calls", "compiler", "engines", "kernel", "kernel_page",
    "library", "sizes", "spec", "threads", "workspace",
)  # fmt: skip
GROUPS = ("group_kernel",)
TRAINING = (
    "c_train", "checkpoint", "interrupt", "train_data", "train_engines", "train_package", "training",
)  # fmt: skip
