"""`s3://`: objects in a bucket of any S3 server, and a cache of them in a folder of this host."""
