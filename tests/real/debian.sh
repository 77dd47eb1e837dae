#!/bin/sh
# Makes the tar of a small Debian, as its published images are: no documentation, nothing kept by apt.
# It trusts the certificates that this machine trusts. Usage: debian.sh TAR
set -eu
dpkg_options='/etc/dpkg/dpkg.cfg.d/docker'
certificates=/usr/local/share/ca-certificates
trust=:
if ls "$certificates"/*.crt >/dev/null 2>&1; then
    trust="cp $certificates/*.crt \"\$1$certificates/\" && chroot \"\$1\" update-ca-certificates"
fi
mmdebstrap --quiet --variant=minbase --include=ca-certificates \
    --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --aptopt='Acquire::Languages "none"' \
    --customize-hook="$trust" \
    --customize-hook="echo force-unsafe-io > \"\$1$dpkg_options\"" \
    --customize-hook='printf "[global]\ncert=/etc/ssl/certs/ca-certificates.crt\n" > "$1/etc/pip.conf"' \
    --customize-hook='printf "%s\n" "APT::Keep-Downloaded-Packages \"false\";" "Binary::apt-get::APT::Keep-Downloaded-Packages \"false\";" "DPkg::Post-Invoke { \"rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true\"; };" "Dir::Cache::pkgcache \"\";" "Dir::Cache::srcpkgcache \"\";" > "$1/etc/apt/apt.conf.d/docker-clean"' \
    --customize-hook='rm -rf "$1"/var/log/*.log "$1"/var/log/apt/* "$1"/var/cache/apt/*.bin' \
    bookworm "$1.new.tar"
mv "$1.new.tar" "$1"
