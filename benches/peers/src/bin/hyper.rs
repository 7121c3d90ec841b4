//! hyper on tokio, with its scheduler for one thread.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use peers::{Arguments, HELLO, PAUSE, fail, sockets};
use tokio::net::TcpListener;
use tokio::time::{Sleep, sleep};

fn main() -> std::io::Result<()> {
    let arguments = Arguments::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match arguments.command() {
        "http" => runtime.block_on(serve(arguments.port(), hello)),
        "stream" => runtime.block_on(serve(arguments.port(), stream)),
        _ => fail("commands: http stream"),
    }
}

async fn serve<F, B>(port: u16, handler: fn(Request<Incoming>) -> F) -> std::io::Result<()>
where
    F: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    sockets::raise_file_limit();
    let listener = std::net::TcpListener::from(sockets::listen(port));
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(async move {
            let mut connection = http1::Builder::new();
            // Answers to pipelined requests leave together.
            connection.pipeline_flush(true);
            // An error is the end of the connection.
            let _ = connection.serve_connection(TokioIo::new(socket), service_fn(handler)).await;
        });
    }
}

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    match request.uri().path() {
        "/" => *response.body_mut() = Full::new(Bytes::from_static(HELLO.as_bytes())),
        _ => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}

async fn stream(_: Request<Incoming>) -> Result<Response<Words>, Infallible> {
    let mut response = Response::new(Words::Hello);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}

/// A body of two pieces with a pause in between.
enum Words {
    Hello,
    World(Pin<Box<Sleep>>),
    End,
}

impl Body for Words {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (word, next) = match &mut *self {
            Words::Hello => ("Hello", Words::World(Box::pin(sleep(PAUSE)))),
            Words::World(pause) => {
                std::task::ready!(pause.as_mut().poll(context));
                ("World", Words::End)
            }
            Words::End => return Poll::Ready(None),
        };
        *self = next;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(word.as_bytes())))))
    }
}
