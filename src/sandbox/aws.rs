//! A call to one of the AWS services, from the request to the answer.
//!
//! Entry point: [`Service::handle`], used alike by the connector under the SDK's clients and by the server on loopback.
//! Which service a request is for stands in its signature; what that service does is its [`Api`].

use super::api::{self, Api, Context, Effect, Input, Known, Output};
use super::options::Throttle;
use super::protocol::{Answer, ApiError, Request, Wire};
use super::service::{Admitted, Errand, Outcome, Service, Why};
use super::world::GLOBAL;
use super::world::ids::number_of;

/// Where a request goes, as its sender says.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    service: String,
    region: String,
}

/// One call on its way.
struct Call {
    api: &'static Api,
    region: String,
    action: String,
    input: Result<Input, ApiError>,
}

impl Service {
    /// Answers one request.
    ///
    /// # Cancel safety
    /// As [`Service::carry`].
    pub(crate) async fn handle(&self, request: Request) -> Outcome<Answer> {
        let (account, counter, requests) = self.count_request();
        let request_id = request_id(&account, counter, requests);
        let call = match Call::of(&request) {
            Ok(call) => call,
            Err((wire, error)) => return Outcome::Answer(wire.write("", request_id, Err(error))),
        };
        let outcome = self.carry(&call).await;
        outcome.map(|result| call.api.wire.write(&call.action, request_id, result))
    }
}

impl Errand for Call {
    type Answer = Result<Output, ApiError>;

    fn service(&self) -> &'static str {
        self.api.name
    }

    fn action(&self) -> &str {
        &self.action
    }

    fn region(&self) -> &str {
        &self.region
    }

    fn admit<'a>(&'a self, general: &'a Throttle) -> Result<Admitted<'a>, Self::Answer> {
        self.input.as_ref().map_err(|error| Err(error.clone()))?;
        let Known { name, effect } = (self.api.find)(&self.action).map_err(Err)?;
        let limits = Some(self.api.limits.as_ref().unwrap_or(general));
        Ok(Admitted { operation: name, limits, writes: effect == Effect::Writes })
    }

    fn run(&self, context: &mut Context<'_>) -> (Self::Answer, bool) {
        let result = self.input.as_ref().map_err(Clone::clone).and_then(|input| {
            let Known { name, .. } = (self.api.find)(&self.action)?;
            self.api.run(name, input, context)
        });
        let done = result.is_ok();
        (result, done)
    }

    fn refuse(&self, why: Why<'_>) -> Self::Answer {
        Err(match why {
            Why::Throttled => self.api.wire.throttled(),
            Why::Broken(why) => self.api.wire.broken(why),
            Why::Quota => self.api.quota(&self.action),
        })
    }
}

impl Target {
    /// From the credential scope of the signature (`AKID/date/region/service/aws4_request`), else from the host
    /// (`ec2.us-west-2.amazonaws.com`).
    fn of(request: &Request) -> Self {
        let scope = request.authorization.as_deref().and_then(|header| {
            let credential = header.split_once("Credential=")?.1.split([',', ' ']).next()?;
            let mut parts = credential.rsplit('/');
            let (_terminator, service, region) = (parts.next()?, parts.next()?, parts.next()?);
            Some((service.to_owned(), region.to_owned()))
        });
        let (service, region) = scope.unwrap_or_else(|| {
            let mut parts = request.host.split('.');
            let service = parts.next().filter(|name| api::find(name).is_some()).unwrap_or("ec2").to_owned();
            let region = parts.next().filter(|part| part.contains('-')).unwrap_or("us-east-1").to_owned();
            (service, region)
        });
        Self { service, region }
    }
}

impl Call {
    /// Reads a request.
    ///
    /// # Errors
    /// When there is no such service; with the protocol that its sender seems to speak.
    fn of(request: &Request) -> Result<Self, (Wire, ApiError)> {
        let Target { service, region } = Target::of(request);
        let Some(api) = api::find(&service) else {
            let wire = if request.target.is_some() {
                Wire::Json
            } else if request.body.starts_with(b"Action=") {
                Wire::Query { namespace: "" }
            } else {
                Wire::RestJson { routes: &[] }
            };
            return Err((wire, api::unserved(&service)));
        };
        let region = if api.global { GLOBAL.to_owned() } else { region };
        let (action, input) = match api.wire.read(request) {
            Ok((action, input)) => (action, Ok(input)),
            Err(error) => (String::new(), Err(error)),
        };
        Ok(Self { api, region, action, input })
    }
}

/// An id in the shape of a UUID.
fn request_id(account: &str, counter: u64, request: u64) -> String {
    let parts = [account.as_bytes(), &counter.to_le_bytes(), &request.to_le_bytes()];
    let (high, low) = (number_of(&parts), number_of(&[b"low", parts[0], parts[1], parts[2]]));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0xfff,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_comes_from_the_signature_or_the_host() {
        let signed =
            "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/sts/aws4_request, SignedHeaders=host, Signature=x";
        let target = Target::of(&Request { authorization: Some(signed.to_owned()), ..Request::default() });
        assert_eq!(target, Target { service: "sts".to_owned(), region: "eu-west-1".to_owned() });
        let target = Target::of(&Request { host: "ec2.us-west-2.amazonaws.com".to_owned(), ..Request::default() });
        assert_eq!(target, Target { service: "ec2".to_owned(), region: "us-west-2".to_owned() });
        assert_eq!(Target::of(&Request { host: "127.0.0.1:80".to_owned(), ..Request::default() }).service, "ec2");
    }
}
