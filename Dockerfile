# Four targets: `nginx`, `apache`, `bundle` (nginx and the app in one container), and `app`, the last and so the default.
# No `# syntax=` line: it would fetch a frontend from a registry, and the engine's own is all that is needed.

# Pinned. Where no registry answers, `make up` replaces them by base images made from Debian's packages.
ARG RUST_IMAGE=rust:1.95.0-slim-trixie
ARG NGINX_IMAGE=nginx:1.30.6-trixie
ARG HTTPD_IMAGE=httpd:2.4.69-trixie
# The image of the previous version, whose assets are kept for pages that are open; none by default.
ARG PREVIOUS_IMAGE=scratch


# The tools' workspace with one member. No --locked: the lock's entries of the other members are superfluous here, which is
# an error with it. Cargo takes all versions from the lock anyway.
FROM ${RUST_IMAGE} AS assets
WORKDIR /build
# The dependencies have a layer of their own.
COPY tools/Cargo.toml tools/Cargo.lock ./
COPY tools/assets/Cargo.toml assets/
RUN mkdir assets/src && echo "fn main() {}" > assets/src/main.rs && cargo build --release
COPY tools/assets/src assets/src
RUN find assets/src -exec touch {} + && cargo build --release


FROM ${PREVIOUS_IMAGE} AS previous


# The site's files, in one stage for all images, so that no two can differ.
FROM assets AS site
COPY static static
RUN --mount=type=bind,from=previous,target=/previous \
    target/release/assets static /srv --previous /previous/srv


FROM ${RUST_IMAGE} AS build
WORKDIR /build
# A static binary needs nothing of the image that it runs in.
ENV RUSTFLAGS="-C target-feature=+crt-static"
# For the image's TZ; some base images come without.
RUN test -d /usr/share/zoneinfo/Europe \
    || { apt-get update && apt-get install --yes --no-install-recommends tzdata && rm -rf /var/lib/apt/lists/*; }
RUN mkdir /etc/app && echo "app:x:65532:0::/:/nologin" > /etc/app/passwd \
    && rustc -vV | sed -n 's/^host: //p' > /etc/app/target
# A layer for the dependencies, one for the library and one for the service: an edit of src/ compiles src/ alone.
COPY Cargo.toml Cargo.lock ./
COPY crates/berth/Cargo.toml crates/berth/Cargo.toml
COPY crates/harness/Cargo.toml crates/harness/Cargo.toml
RUN mkdir -p src crates/berth/src crates/harness/src \
    && touch src/app.rs crates/berth/src/lib.rs crates/harness/src/lib.rs && echo "fn main() {}" > src/main.rs \
    && cargo build --release --locked --target "$(cat /etc/app/target)"
COPY crates crates
# Cargo compares the files' times, and those of a checkout are older than those of the empty files above.
RUN find crates -exec touch {} + && cargo build --release --locked --target "$(cat /etc/app/target)" --package berth
COPY src src
RUN find src -exec touch {} + \
    && cargo build --release --locked --target "$(cat /etc/app/target)" \
    && cp target/*/release/app /app


# The error pages and headers that nginx and Apache send themselves, written by the app.
FROM build AS error-pages
RUN /app error-page-files /srv/berth


FROM ${NGINX_IMAGE} AS nginx
RUN rm -rf /etc/nginx/conf.d
COPY nginx /etc/nginx
COPY --from=build /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=site /srv /srv
COPY --from=error-pages /srv/berth /srv/berth
# Reads the settings, writes what depends on them, and becomes nginx.
COPY --from=build /app /app
ENV BIND=[::]:8080 STATIC_DIR=/srv/site
USER 65532:0
# A graceful stop; SIGTERM would cut connections.
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=3s --timeout=2s --start-period=10s CMD ["/app", "healthcheck"]
ENTRYPOINT ["/app"]
CMD ["nginx"]


FROM nginx AS bundle
# As for the app, below.
LABEL service=berth
STOPSIGNAL SIGTERM
CMD ["bundle"]


FROM ${HTTPD_IMAGE} AS apache
# Where the official image has it, if this is Debian's.
RUN test -e /usr/local/apache2/bin/httpd \
    || { mkdir -p /usr/local/apache2/bin && ln -s /usr/sbin/apache2 /usr/local/apache2/bin/httpd \
    && ln -s /usr/lib/apache2/modules /usr/local/apache2/modules; }
COPY deploy/compose/apache/httpd.conf /etc/berth/httpd.conf
COPY --from=build /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=error-pages /srv/berth /srv/berth
# nginx's syntax, in httpd's.
RUN sed -En -e 's/^add_header (.* ".*") always;$/Header always set \1/p' \
    -e 's/^https (".*");$/Header always set Strict-Transport-Security \1 env=is_https/p' \
    /srv/berth/security_headers.conf /srv/berth/hsts.conf > /srv/berth/security_headers.apache.conf
# As for nginx, above. Files come from the replicas.
COPY --from=build /app /app
ENV BIND=[::]:8080 STATIC_DIR=/srv
USER 65532:0
# A graceful stop; SIGTERM would cut connections.
STOPSIGNAL SIGWINCH
HEALTHCHECK --interval=3s --timeout=2s --start-period=10s CMD ["/app", "healthcheck"]
ENTRYPOINT ["/app"]
CMD ["apache"]


# All that the app's image holds, in one folder: COPY would make folders of today. The same files make the same layer: all
# have the same time, but for the site, whose times tell what is in its files. The time of a commit would not do: a builder
# does not look at times, and takes a layer that it has.
FROM build AS root
RUN --mount=type=bind,from=site,source=/srv,target=/site \
    mkdir -p /image/etc /image/srv /image/usr/share \
    && cp /etc/app/passwd /image/etc/ && cp /app /image/ && cp -a /usr/share/zoneinfo /image/usr/share/ \
    && find /image -exec touch --no-dereference --date @0 {} + \
    && cp -a /site/. /image/srv


FROM scratch AS app
COPY --from=root /image /
# Kamal requires the label `service`.
LABEL service=berth
ENV BIND=[::]:8080 STATIC_DIR=/srv/site
# A number, for platforms that refuse names; group 0, for those that choose the user.
USER 65532:0
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=3s --timeout=2s --start-period=10s CMD ["/app", "healthcheck"]
ENTRYPOINT ["/app"]
CMD ["serve"]
