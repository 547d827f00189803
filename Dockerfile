# The image of confd: one static program with its three names, confd, consul-template and registrator.
#
#   docker build -t confd .
#   docker run --rm confd -version
#   docker run --net host -v /var/run/docker.sock:/var/run/docker.sock --entrypoint registrator \
#     confd consul://127.0.0.1:8500
#
# On top of another image, for the commands of resources (check_cmd, reload_cmd):
#
#   docker build -t confd-nginx --build-arg BASE=nginx:1.28-alpine .
#
# With a program that is built already (tools/dist), any small image with a shell does in place of Rust's:
#
#   docker build -t confd --build-arg PROGRAM=target/dist/confd --build-arg RUST_IMAGE=busybox .

# Arguments above the first FROM are for the lines with FROM.
ARG RUST_IMAGE=rust:1-bookworm
ARG BASE=scratch

FROM ${RUST_IMAGE} AS build
WORKDIR /confd
COPY . .
ARG PROGRAM=
RUN if [ -z "$PROGRAM" ]; then tools/dist; fi \
 && mkdir -p /image/usr/local/bin \
 && cp "${PROGRAM:-target/dist/confd}" /image/usr/local/bin/confd \
 && chmod 755 /image/usr/local/bin/confd \
 && ln -s confd /image/usr/local/bin/consul-template \
 && ln -s confd /image/usr/local/bin/registrator

# The program brings Mozilla's certificates and the time zones. An image with certificates of its own, or a file
# mounted at /etc/ssl/certs/ca-certificates.crt, has priority.
#
# The user is root, or that of BASE: registrator needs the engine's socket, and confd has to write where its
# service reads. `docker run --user 65534` is enough for everything else.
FROM ${BASE}
COPY --from=build /image/ /
ENTRYPOINT ["confd"]
# BASE can have another signal, as nginx's images have SIGQUIT, which confd does not end at.
STOPSIGNAL SIGTERM
