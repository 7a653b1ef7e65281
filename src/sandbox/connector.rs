//! The connection between the unmodified AWS SDK and the simulated cloud.
//!
//! Entry point: [`sdk_config`]. The SDK serialises, signs and parses as it would for AWS; only the wire is replaced.

use std::fmt;
use std::sync::Arc;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

use super::protocol::Request;
use super::service::{Outcome, Service};

/// The access key of the sandbox's one user.
pub(crate) const ACCESS_KEY: &str = "AKIASANDBOX0SANDBOX0";
/// Its secret key, which is secret from nobody.
pub(crate) const SECRET_KEY: &str = "sandbox";

/// The configuration for SDK clients. Another region can be set per client.
pub(crate) fn sdk_config(service: &Arc<Service>) -> SdkConfig {
    let credentials =
        Credentials::builder().access_key_id(ACCESS_KEY).secret_access_key(SECRET_KEY).provider_name("sandbox").build();
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(Wire { service: Arc::clone(service) })
        // The engine is the one place that retries and that knows time.
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build()
}

#[derive(Clone)]
struct Wire {
    service: Arc<Service>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire(sandbox)")
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let service = Arc::clone(&self.service);
        HttpConnectorFuture::new(async move {
            let Some(body) = request.body().bytes().map(<[u8]>::to_vec) else {
                return Err(ConnectorError::user("the sandbox takes no streamed bodies".into()));
            };
            let uri: http::Uri = request.uri().parse().map_err(|error| ConnectorError::user(Box::new(error)))?;
            let request = Request {
                method: request.method().to_owned(),
                path: uri.path().to_owned(),
                target: request.headers().get("x-amz-target").map(str::to_owned),
                host: uri.host().unwrap_or_default().to_owned(),
                authorization: request.headers().get("authorization").map(str::to_owned),
                query: uri.query().map(str::to_owned),
                body,
            };
            match service.handle(request).await {
                Outcome::Answer(answer) => {
                    let status =
                        StatusCode::try_from(answer.status).map_err(|error| ConnectorError::user(Box::new(error)))?;
                    let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
                    response.headers_mut().insert("content-type", answer.content_type);
                    response.headers_mut().insert("x-amzn-requestid", answer.request_id);
                    if let Some(error_type) = answer.error_type {
                        response.headers_mut().insert("x-amzn-errortype", error_type);
                    }
                    Ok(response)
                }
                Outcome::Refused => {
                    let refused = std::io::Error::new(
                        std::io::ErrorKind::ConnectionRefused,
                        "connection refused (sandbox fault)",
                    );
                    Err(ConnectorError::io(Box::new(refused)).never_connected())
                }
                Outcome::Cut => {
                    let reset =
                        std::io::Error::new(std::io::ErrorKind::ConnectionReset, "connection reset (sandbox fault)");
                    Err(ConnectorError::io(Box::new(reset)))
                }
            }
        })
    }
}
