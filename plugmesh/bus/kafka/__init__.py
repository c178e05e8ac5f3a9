"""`kafka://`: the bus over Apache Kafka, or whatever speaks its protocol."""
