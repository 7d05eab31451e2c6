#!/bin/sh
# Removes what killed processes have left, writes the settings that hold secrets where only this container's user can read them,
# and becomes the program.
set -eu
umask 077

# A container that is started again has its files still. What ran in it is dead; Spark's worker forgets its own folder by age.
find /tmp -mindepth 1 -maxdepth 1 -user "$(id -u)" ! -name spark-work -exec rm -rf {} +

mkdir -p "$SPARK_CONF_DIR"
cp /opt/atoll/docker/spark-defaults.conf "$SPARK_CONF_DIR/spark-defaults.conf"
if [ -n "${ATOLL_SPARK_SECRET:-}" ]; then
  echo "spark.authenticate.secret $ATOLL_SPARK_SECRET" >> "$SPARK_CONF_DIR/spark-defaults.conf"
fi
if [ -n "${AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE:-}" ]; then
  printf '{"admin": "%s"}\n' "$ATOLL_ADMIN_PASSWORD" > "$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
fi
unset ATOLL_SPARK_SECRET
umask 022
exec "$@"
