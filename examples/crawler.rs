//! A crawler over TLS: ten greenlets follow all links of a site, which the same program serves.

use greenloop::http::{self, Request, Server};
use greenloop::net::TcpStream;
use greenloop::queue::JoinableQueue;
use greenloop::tls::{ClientConfig, Identity, Roots, ServerConfig};
use greenloop::{scope, sleep, timeout};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const PAGES: usize = 60;
/// What each page takes the server.
const DELAY: Duration = Duration::from_millis(50);

/// Page n leads to 2n + 1, 2n + 2 and the first, as far as they are there.
fn site(request: &mut Request<'_>) -> http::Result<String> {
    let number: usize = request.path().strip_prefix("/page/").ok_or("no page")?.parse()?;
    sleep(DELAY);
    let links = [2 * number + 1, 2 * number + 2, 0].into_iter().filter(|to| *to < PAGES);
    Ok(links.map(|to| format!("<a href=\"/page/{to}\">{to}</a>\n")).collect())
}

struct Crawler {
    tls: ClientConfig,
    address: SocketAddr,
    /// Paths to fetch.
    queue: JoinableQueue<String>,
    seen: RefCell<BTreeSet<String>>,
    links: Cell<usize>,
}

impl Crawler {
    fn fetch(&self, path: &str) -> io::Result<String> {
        let mut stream = self.tls.connect("localhost", TcpStream::connect(self.address)?)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        Ok(page)
    }

    /// Puts a path into the queue if it is new.
    fn note(&self, path: &str) {
        if self.seen.borrow_mut().insert(path.to_string()) {
            self.queue.put(path.to_string()).expect("the queue is open");
        }
    }

    /// Fetches a page and notes what it leads to.
    fn visit(&self, path: &str) {
        match timeout(Duration::from_secs(10), || self.fetch(path)) {
            Ok(Ok(page)) => {
                for link in page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                    self.links.set(self.links.get() + 1);
                    self.note(link);
                }
            }
            Ok(Err(error)) => println!("{path}: {error}"),
            Err(elapsed) => println!("{path}: {elapsed}"),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_string()])?;
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?;
    let tls = ServerConfig::builder().identity(identity).build()?;
    let server = Server::bind("127.0.0.1:0")?.tls(tls).start(site)?;

    let crawler = Crawler {
        tls: ClientConfig::builder().roots(Roots::from_pem(made.cert.pem())?).build()?,
        address: server.local_addr()?,
        queue: JoinableQueue::unbounded(),
        seen: RefCell::default(),
        links: Cell::new(0),
    };
    let start = Instant::now();
    scope(|s| {
        for _ in 0..10 {
            s.spawn(|| {
                while let Ok(path) = crawler.queue.get() {
                    crawler.visit(&path);
                    crawler.queue.task_done();
                }
            });
        }
        crawler.note("/page/0");
        crawler.queue.join();
        crawler.queue.close();
    });
    println!("{} pages, {} links", crawler.seen.borrow().len(), crawler.links.get());
    let one_by_one = DELAY * PAGES as u32;
    println!("{}", if start.elapsed() < one_by_one { "faster than one by one" } else { "too slow" });
    server.stop(Duration::from_secs(1));
    Ok(())
}
