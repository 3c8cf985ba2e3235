//! Who is logged in: sshd's processes, the sockets that they hold and the host's connections, put together.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use cardea_domain::LogIn;

use super::answer::Answer;

/// What the host's `log_ins` said.
pub(super) fn log_ins(answer: &Answer) -> Vec<LogIn> {
    // `INODE ADDRESS:PORT`, as the kernel writes them.
    let connections: HashMap<&str, SocketAddr> = answer
        .texts("connection")
        .filter_map(|text| {
            let (inode, remote) = text.split_once(' ')?;
            Some((inode, socket_address(remote)?))
        })
        .collect();
    let mut sources = HashMap::new();
    for (pid, inode) in answer.texts("socket").filter_map(socket) {
        if let Some(source) = connections.get(inode) {
            sources.insert(pid, *source);
        }
    }
    answer.texts("login").filter_map(|text| log_in(text, &sources)).collect()
}

/// `PID UID AGE TITLE`, the age in hundredths of a second; sshd's title is `sshd: alice@pts/0`, `sshd-session: alice@notty`.
fn log_in(text: &str, sources: &HashMap<&str, SocketAddr>) -> Option<LogIn> {
    let mut parts = text.splitn(4, ' ');
    let (pid, uid, age) = (parts.next()?, parts.next()?, parts.next()?);
    let title = parts.next().unwrap_or_default().trim();
    let terminal = title.rsplit_once('@').map(|(_, terminal)| terminal).filter(|name| name.starts_with("pts/"));
    Some(LogIn {
        uid: uid.parse().ok()?,
        pid: pid.parse().ok()?,
        source: sources.get(pid).copied(),
        terminal: terminal.map(str::to_owned),
        age: Duration::from_millis(age.parse::<u64>().ok()?.saturating_mul(10)),
        what: title.to_owned(),
    })
}

/// `PID socket:[INODE]`.
fn socket(text: &str) -> Option<(&str, &str)> {
    let (pid, name) = text.split_once(' ')?;
    Some((pid, name.strip_prefix("socket:[")?.strip_suffix(']')?))
}

/// `0100007F:08AE`: proc(5) writes addresses as words of 32 bits in the order of a little-endian host, which all of ours are.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    if !address.is_ascii() || !matches!(address.len(), 8 | 32) {
        return None;
    }
    let words: Option<Vec<_>> = address
        .as_bytes()
        .chunks(8)
        .map(|word| Some(u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?.to_le_bytes()))
        .collect();
    let address = match words?.as_slice() {
        [word] => IpAddr::V4(Ipv4Addr::from(*word)),
        words => {
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            // A dual-stack sshd sees IPv4 in a coat of IPv6.
            IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
        }
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_addresses_are_read() {
        for (text, address) in [
            ("0100007F:08AE", "127.0.0.1:2222"),
            ("0000000000000000FFFF00000200000A:0016", "10.0.0.2:22"),
            ("B80D01200000000067452301EFCDAB89:0016", "[2001:db8::123:4567:89ab:cdef]:22"),
        ] {
            assert_eq!(socket_address(text).map(|address| address.to_string()).as_deref(), Some(address));
        }
        for bad in ["", "0100007F", "XX00007F:08AE", "0100:08AE", "0100007F:12345"] {
            assert_eq!(socket_address(bad), None, "{bad}");
        }
    }
}
