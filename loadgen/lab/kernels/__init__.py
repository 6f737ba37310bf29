"""The directors' kernels: which User-Mode Linux a director boots, and where it comes from.

``images.py`` says which (installed, in the cache, in a directory), ``fetch.py`` gets one from
Debian's packages. Neither starts a kernel (``uml.py``), and neither changes what is installed.
"""
