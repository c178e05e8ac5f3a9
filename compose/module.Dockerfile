# An image that serves the modules of one file. Copy this beside the file, and build it there:
#   docker build -t my-module:1.0.0 --build-arg FILE=my_module.py -f module.Dockerfile .
# `plugmesh module image my_module.py` does the same, and finds out by itself what the file needs.
ARG PLUGMESH_IMAGE=plugmesh:0.2.0
FROM ${PLUGMESH_IMAGE}

# Packages that Plugmesh's image has not, if there is a requirements.txt; pandas and polars are such. The folder's Python
# files come with it, for the module may import its neighbours.
COPY *.py requirements.tx[t] /module/
USER root
RUN if [ -f /module/requirements.txt ]; then pip install --no-cache-dir -r /module/requirements.txt; fi
USER 10001:10001

ARG FILE=my_module.py
ENV MODULE_FILE=/module/${FILE}
CMD []
