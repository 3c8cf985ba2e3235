//! How people tell public keys apart.

use aws_lc_rs::digest;

/// The fingerprint of a public key's bytes as OpenSSH prints it: `SHA256:…`.
pub fn fingerprint(key: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, key);
    format!("SHA256:{}", data_encoding::BASE64_NOPAD.encode(digest.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_ssh_keygen_prints() {
        let body = "AAAAC3NzaC1lZDI1NTE5AAAAIFIR5p2lv7i3pG1yPQ7L2hXg9zq1m3h1yW8QvJ6T2k4d";
        let key = data_encoding::BASE64.decode(body.as_bytes()).expect("base64");
        assert_eq!(fingerprint(&key), "SHA256:GXnghN+rNmihKcKwtT1iYl+ZiraSH1+PrR86PiN2Gmw");
    }
}
