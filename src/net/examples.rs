//! What differs between the sockets in the examples of the methods that they have in common.

macro_rules! example {
    (set_up TcpStream) => {
        "use greenloop::net::{TcpListener, TcpStream};\n\n\
         let listener = TcpListener::bind(\"127.0.0.1:0\")?;\n\
         let socket = TcpStream::connect(listener.local_addr()?)?;\n\
         let (peer, _) = listener.accept()?;"
    };
    (set_up TcpListener) => {
        "use greenloop::net::TcpListener;\n\nlet socket = TcpListener::bind(\"127.0.0.1:0\")?;"
    };
    (set_up UdpSocket) => {
        "use greenloop::net::UdpSocket;\n\nlet socket = UdpSocket::bind(\"127.0.0.1:0\")?;"
    };
    (set_up UnixListener) => {
        "# let path = std::env::temp_dir().join(format!(\"greenloop-doc-methods-{}\", std::process::id()));\n\
         use greenloop::net::UnixListener;\n\n\
         let socket = UnixListener::bind(&path)?;\n\
         # std::fs::remove_file(&path)?;"
    };
    (set_up $Pair:ident) => {
        concat!(
            "use greenloop::net::",
            stringify!($Pair),
            ";\n\nlet (socket, peer) = ",
            stringify!($Pair),
            "::pair()?;"
        )
    };

    // An IPv6 socket, where the system has IPv6.
    (set_up6 $Socket:ident) => {
        "# if std::net::UdpSocket::bind(\"[::1]:0\").is_err() { return Ok(()); }\n\
         use greenloop::net::UdpSocket;\n\n\
         let socket = UdpSocket::bind(\"[::1]:0\")?;"
    };

    (local_addr UnixListener) => {
        "assert_eq!(socket.local_addr()?.as_pathname(), Some(&*path));"
    };
    (local_addr UnixStream) => {
        "assert!(socket.local_addr()?.is_unnamed());"
    };
    (local_addr UnixDatagram) => {
        "assert!(socket.local_addr()?.is_unnamed());"
    };
    (local_addr $Inet:ident) => {
        "let address = socket.local_addr()?;\nassert!(address.ip().is_loopback() && address.port() != 0);"
    };

    (peer_addr TcpStream) => {
        "assert_eq!(socket.peer_addr()?, listener.local_addr()?);"
    };
    (peer_addr UnixStream) => {
        "assert!(socket.peer_addr()?.is_unnamed());"
    };

    (use_wait UdpSocket) => {
        "use std::{io::ErrorKind, time::Duration};"
    };
    (use_wait UnixDatagram) => {
        "use std::{io::ErrorKind, time::Duration};"
    };
    (use_wait $Stream:ident) => {
        "use std::{io::{ErrorKind, Read}, time::Duration};"
    };
    (wait UdpSocket) => {
        "let error = socket.recv(&mut [0; 8]).unwrap_err(); // nobody has sent anything"
    };
    (wait UnixDatagram) => {
        "let error = socket.recv(&mut [0; 8]).unwrap_err(); // nobody has sent anything"
    };
    (wait $Stream:ident) => {
        "let error = (&socket).read(&mut [0; 8]).unwrap_err(); // nobody has written anything"
    };

    (incoming TcpListener) => {
        "use greenloop::net::{TcpListener, TcpStream};\n\n\
         let listener = TcpListener::bind(\"127.0.0.1:0\")?;\n\
         let client = TcpStream::connect(listener.local_addr()?)?;\n\
         let socket = listener.incoming().next().unwrap()?;\n\
         assert_eq!(socket.peer_addr()?, client.local_addr()?);"
    };
    (incoming UnixListener) => {
        "# let path = std::env::temp_dir().join(format!(\"greenloop-doc-incoming-{}\", std::process::id()));\n\
         use greenloop::net::{UnixListener, UnixStream};\n\n\
         let listener = UnixListener::bind(&path)?;\n\
         let client = UnixStream::connect(&path)?;\n\
         # std::fs::remove_file(&path)?;\n\
         let socket = listener.incoming().next().unwrap()?;\n\
         assert_eq!(socket.local_addr()?.as_pathname(), Some(&*path));"
    };
}

pub(super) use example;
