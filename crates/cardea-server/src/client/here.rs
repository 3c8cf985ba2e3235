//! The API in this process, for when no server runs.

use axum::{Router, body::Body};
use cardea_http::Operator;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{Incoming, Outgoing, read_body};
use crate::{config::Config, data_dir::DataDir, failure::Failure, wiring::Wired};

/// The product without its engine, and the data directory that keeps everybody else out meanwhile.
pub(super) struct Here {
    router: Router,
    wired: Wired,
    _data: DataDir,
}

impl Here {
    pub(super) async fn open(config: &Config, data: DataDir) -> Result<Self, Failure> {
        let wired = Wired::open(config, &data).await?;
        wired.must_be_initialised(config)?;
        let router = wired.router(config, CancellationToken::new());
        Ok(Self { router, wired, _data: data })
    }

    pub(super) async fn send(&self, request: Outgoing) -> Result<Incoming, Failure> {
        let mut request = request.map(Body::from);
        request.extensions_mut().insert(Operator { uid: rustix::process::getuid().as_raw() });
        let Ok(answer) = self.router.clone().oneshot(request).await;
        let (head, body) = answer.into_parts();
        Ok((head.status, read_body(body).await?))
    }

    pub(super) async fn close(self) {
        drop(self.router);
        self.wired.close().await;
    }
}
