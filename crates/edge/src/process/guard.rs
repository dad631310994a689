//! A panic ends the request it happened in, and is told to the log with that request's line.

use std::{
    any::Any,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

/// The future's result, or what it said when it panicked. What it had borrowed may be half changed:
/// use it for a log line, and let go of it.
pub async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(panic) => Poll::Ready(Err(text(&*panic))),
        }
    })
    .await
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_result() {
        let mut half = 0;
        let caught = caught(async {
            half += 1;
            tokio::task::yield_now().await;
            assert_eq!(half, 2, "on purpose");
        });
        let message = caught.await.unwrap_err();
        assert!(message.contains("on purpose"), "{message}");
        assert_eq!(super::caught(async { 7 }).await, Ok(7));
    }
}
