//! A client that sends any bytes whatever, and reads the answer as it came.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// An answer. Status 0: the connection was closed without one.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of the first header with this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// A POST as a decent client writes it.
pub fn post<V: AsRef<[u8]>>(path: &str, headers: &[(&str, V)], body: &[u8]) -> Vec<u8> {
    let mut request =
        format!("POST {path} HTTP/1.1\r\nHost: fanfare.example\r\nContent-Length: {}\r\n", body.len()).into_bytes();
    for (name, value) in headers {
        request.extend([name.as_bytes(), b": ", value.as_ref(), b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    request.extend(body);
    request
}

/// Sends these bytes on a connection of their own and reads one answer.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
    let mut connection = Connection::open(address).await;
    connection.send(request).await;
    connection.answer().await
}

/// A connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        Self::try_open(address).await.unwrap()
    }

    /// The same; `None` if nobody listens there.
    pub async fn try_open(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).unwrap();
        Some(Self { stream, buffer: Vec::new() })
    }

    /// The same, coming from this address.
    pub async fn open_from(from: &str, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
        Self { stream: socket.connect(address).await.unwrap(), buffer: Vec::new() }
    }

    /// Sends these bytes; that the other side has had enough of us is no failure, and false.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Says that nothing more will come.
    pub async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// The next answer whole; status 0 if the connection ends first.
    pub async fn answer(&mut self) -> Answer {
        let reading = async {
            let end = loop {
                if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                    break at;
                }
                self.fill().await?;
            };
            let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
            self.buffer.drain(..end + 4);
            let mut lines = head.split("\r\n");
            let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
            let headers: Vec<(String, String)> = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
                .collect();
            let mut answer = Answer { status, headers, body: Vec::new() };
            if let Some(length) = answer.header("content-length").and_then(|length| length.parse::<usize>().ok()) {
                while self.buffer.len() < length {
                    self.fill().await?;
                }
                answer.body = self.buffer.drain(..length).collect();
            } else {
                while self.fill().await.is_some() {}
                answer.body = std::mem::take(&mut self.buffer);
            }
            Some(answer)
        };
        let patience = Duration::from_secs(30);
        tokio::time::timeout(patience, reading)
            .await
            .expect("the server neither answers nor closes")
            .unwrap_or_default()
    }

    /// Whether the other side has closed, waiting until it does or until it must have.
    pub async fn is_closed(&mut self, patience: Duration) -> bool {
        tokio::time::timeout(patience, async { while self.fill().await.is_some() {} }).await.is_ok()
    }

    async fn fill(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }
}
