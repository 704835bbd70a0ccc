//! A mail server for the demo: takes every mail and keeps it in the inbox. Loopback only; no TLS, no relaying.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::cli::demo::inbox::Served;

/// The longest line and the largest mail that it takes.
const LINE_MAX: u64 = 2_000;
const MAIL_MAX: usize = 4 << 20;

/// Takes mail until the process ends.
pub(super) async fn serve(listener: TcpListener, served: Served) {
    while let Ok((stream, _)) = listener.accept().await {
        let served = served.clone();
        tokio::spawn(async move {
            // Anyone who breaks off has sent nothing.
            let _ = session(stream, &served).await;
        });
    }
}

/// One connection (RFC 5321, as much as a client needs).
async fn session(stream: TcpStream, served: &Served) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    let mut to: Vec<String> = Vec::new();
    write.write_all(b"220 demo.invalid ESMTP\r\n").await?;
    loop {
        let Some(line) = line(&mut lines).await? else { return Ok(()) };
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => "250-demo.invalid\r\n250-8BITMIME\r\n250 SIZE 4194304\r\n",
            "HELO" | "NOOP" => "250 fine\r\n",
            "MAIL" | "RSET" => {
                to.clear();
                "250 fine\r\n"
            }
            "RCPT" => {
                let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                to.push(address.to_owned());
                "250 fine\r\n"
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let Some(mail) = data(&mut lines).await? else { return Ok(()) };
                served.mail(std::mem::take(&mut to), mail);
                "250 kept\r\n"
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "502 not here\r\n",
        };
        write.write_all(answer.as_bytes()).await?;
    }
}

async fn line(lines: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if lines.take(LINE_MAX).read_until(b'\n', &mut bytes).await? == 0 {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&bytes).trim_end().to_owned()))
}

/// Everything up to the lone dot, dots unstuffed (RFC 5321, section 4.5.2).
async fn data(lines: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<Option<Vec<u8>>> {
    let mut mail = Vec::new();
    loop {
        let mut bytes = Vec::new();
        if lines.take(LINE_MAX).read_until(b'\n', &mut bytes).await? == 0 || mail.len() > MAIL_MAX {
            return Ok(None);
        }
        if bytes == b".\r\n" {
            return Ok(Some(mail));
        }
        mail.extend_from_slice(bytes.strip_prefix(b".").unwrap_or(&bytes));
    }
}
