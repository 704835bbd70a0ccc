//! A destination: it takes every request, and answers at once or after a while.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Takes everything. It lives in the `LocalSet` that started it.
pub struct Sink {
    pub address: SocketAddr,
    counted: Rc<Counted>,
}

#[derive(Default)]
struct Counted {
    taken: Cell<u64>,
    last: RefCell<Option<Instant>>,
}

impl Sink {
    /// Starts one that answers after this long.
    pub async fn start(answer: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counted = Rc::new(Counted::default());
        let count = counted.clone();
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::task::spawn_local(take(stream, count.clone(), answer));
            }
        });
        Self { address, counted }
    }

    /// How many have come.
    pub fn taken(&self) -> u64 {
        self.counted.taken.get()
    }

    /// When the last one came.
    pub fn last(&self) -> Option<Instant> {
        *self.counted.last.borrow()
    }

    /// Waits until this many have come, at most so long. Gives how many.
    pub async fn reaches(&self, count: u64, patience: Duration) -> u64 {
        let began = Instant::now();
        while self.taken() < count && began.elapsed() < patience {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.taken()
    }
}

async fn take(mut stream: TcpStream, counted: Rc<Counted>, answer: Duration) {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                return;
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        while buffer.len() < end + length.unwrap_or(0) {
            if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                return;
            }
        }
        buffer.drain(..end + length.unwrap_or(0));
        counted.taken.set(counted.taken.get() + 1);
        *counted.last.borrow_mut() = Some(Instant::now());
        if !answer.is_zero() {
            tokio::time::sleep(answer).await;
        }
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.is_err() {
            return;
        }
    }
}
