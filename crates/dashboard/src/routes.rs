//! The routes of the server. It only answers GET and HEAD; every answer has the headers of [`headers`].

use std::collections::HashMap;
use std::convert::Infallible;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{StreamExt, stream};
use report::assets;
use spec::metric::{NAMES, Requested};
use sweep::ranked::RankBy;

use crate::access::{Access, Found, without_token};
use crate::error::ApiError;
use crate::gather::curves::CurveMetric;
use crate::service::{Question, Service};

/// The policy of the page: it loads only files of this server, nothing inline.
/// Notebooks of this machine may show it in a frame, in which nothing can be changed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri \
                      'none'; form-action 'none'; frame-ancestors 'self' \
                      http://localhost:* http://127.0.0.1:*";

/// The longest address of a request.
const LONGEST_ADDRESS: usize = 8 << 10;

/// Most tabs at a time.
const MOST_TABS: usize = 500;

/// A file of the page.
#[derive(Debug, Clone)]
struct Asset {
    kind: &'static str,
    text: Bytes,
    etag: HeaderValue,
}

impl Asset {
    fn new(kind: &'static str, text: String) -> Self {
        let hash = blake3::hash(text.as_bytes()).to_hex();
        let etag = format!("\"{}\"", hash.get(..16).unwrap_or(&hash));
        let etag = HeaderValue::from_str(&etag).unwrap_or(HeaderValue::from_static("\"0\""));
        Self { kind, text: text.into(), etag }
    }

    /// The file, unless the browser has it.
    fn answer(&self, headers: &HeaderMap) -> Response {
        let fixed = [
            (header::ETAG, self.etag.clone()),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        if headers.get(header::IF_NONE_MATCH) == Some(&self.etag) {
            return (StatusCode::NOT_MODIFIED, fixed).into_response();
        }
        (fixed, [(header::CONTENT_TYPE, self.kind)], self.text.clone()).into_response()
    }
}

/// The state that all handlers share.
#[derive(Debug)]
pub(crate) struct Shared {
    access: Access,
    service: Service,
    page: Asset,
    script: Asset,
    style: Asset,
    icon: Asset,
    tabs: Arc<tokio::sync::Semaphore>,
}

type App = State<Arc<Shared>>;
type Parameters = Result<Query<HashMap<String, String>>, QueryRejection>;

/// The routes of a server.
pub(crate) fn routes(access: Access, service: Service) -> Router {
    let shared = Arc::new(Shared {
        access,
        service,
        page: Asset::new("text/html; charset=utf-8", assets::live_page()),
        script: Asset::new("text/javascript; charset=utf-8", assets::SCRIPT.to_owned()),
        style: Asset::new("text/css; charset=utf-8", assets::STYLE.to_owned()),
        icon: Asset::new("image/svg+xml", assets::ICON.to_owned()),
        tabs: Arc::new(tokio::sync::Semaphore::new(MOST_TABS)),
    });
    Router::new()
        .route("/", get(async |State(app): App, headers: HeaderMap| app.page.answer(&headers)))
        .route("/app.js", get(async |State(app): App, headers: HeaderMap| app.script.answer(&headers)))
        .route("/app.css", get(async |State(app): App, headers: HeaderMap| app.style.answer(&headers)))
        .route("/favicon.svg", get(async |State(app): App, headers: HeaderMap| app.icon.answer(&headers)))
        .route("/api/sweeps", get(sweeps))
        .route("/api/sweep", get(overview))
        .route("/api/trials", get(trials))
        .route("/api/curves", get(curves))
        .route("/api/run", get(run))
        .route("/api/stages", get(stages))
        .route("/api/logs", get(logs))
        .route("/api/events", get(events))
        .route("/report.html", get(report))
        .route("/results.csv", get(csv))
        .fallback(async || ApiError::unknown("there is no such page").into_response())
        .layer(from_fn_with_state(Arc::clone(&shared), guard))
        .with_state(shared)
}

/// Refuses what is not allowed, and adds the headers of every answer.
async fn guard(State(app): App, request: Request, next: Next) -> Response {
    let mut answer = match refused(&app, &request) {
        Some(refused) => refused,
        None => next.run(request).await,
    };
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

/// The answer to a request that may not be answered otherwise.
fn refused(app: &Shared, request: &Request) -> Option<Response> {
    let (headers, uri) = (request.headers(), request.uri());
    let error =
        |status, message: &str| Some(ApiError { status, message: message.to_owned() }.into_response());
    if !app.access.allows_host(headers, uri) {
        return error(
            StatusCode::FORBIDDEN,
            "this server is not addressed by that name; `--allow-host NAME` allows another name",
        );
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let refused = error(StatusCode::METHOD_NOT_ALLOWED, "this server only answers GET and HEAD")?;
        return Some(([(header::ALLOW, "GET, HEAD")], refused).into_response());
    }
    let length = headers.get(header::CONTENT_LENGTH).map(HeaderValue::as_bytes);
    if length.is_some_and(|length| length != b"0") || headers.contains_key(header::TRANSFER_ENCODING) {
        return error(StatusCode::PAYLOAD_TOO_LARGE, "a request has no body here");
    }
    if uri.path_and_query().is_some_and(|all| all.as_str().len() > LONGEST_ADDRESS) {
        return error(StatusCode::URI_TOO_LONG, "this address is too long");
    }
    match app.access.find(headers, uri.query()) {
        Found::Header => None,
        Found::Address if uri.path() == "/" => Some(with_cookie(app, uri.query())),
        Found::Address => None,
        Found::Nowhere => error(
            StatusCode::UNAUTHORIZED,
            "this page needs a token: open the address that `sweep dashboard` printed, which contains it",
        ),
    }
}

/// Moves the token from the address into a cookie, which scripts can't read.
fn with_cookie(app: &Shared, query: Option<&str>) -> Response {
    let token = app.access.token.as_ref().map(|token| token.text()).unwrap_or_default();
    let cookie = format!("{}={token}; Path=/; HttpOnly; SameSite=Strict", app.access.cookie);
    let to = format!("./{}", without_token(query));
    (StatusCode::SEE_OTHER, [(header::SET_COOKIE, cookie), (header::LOCATION, to)]).into_response()
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.message }).to_string();
        (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

/// The parameters of a request.
struct Asked(HashMap<String, String>);

impl Asked {
    fn new(parameters: Parameters) -> Result<Self, ApiError> {
        parameters.map(|Query(all)| Self(all)).map_err(|error| ApiError::wrong(error.body_text()))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    fn required(&self, name: &str) -> Result<String, ApiError> {
        let found = self.text(name).map(str::to_owned);
        found.ok_or_else(|| ApiError::wrong(format_args!("the parameter `{name}` is missing")))
    }

    fn parsed<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let parsed = text.parse().ok().map(Some);
        parsed.ok_or_else(|| ApiError::wrong(format_args!("`{name}`: expected {expected}, found `{text}`")))
    }

    fn sweep(&self) -> Result<String, ApiError> {
        self.required("sweep")
    }

    fn budget(&self) -> Result<Option<i64>, ApiError> {
        self.parsed("budget", "a number of steps")
    }

    fn how(&self) -> Result<RankBy, ApiError> {
        let metric: Option<Requested> = self.parsed("metric", NAMES)?;
        Ok(RankBy { metric, budget: self.budget()?, rope: None })
    }

    fn points(&self, default: u64) -> Result<u64, ApiError> {
        let points: Option<u64> = self.parsed("points", "a whole number")?;
        Ok(points.unwrap_or(default).clamp(2, 10_000))
    }
}

/// An answer as JSON.
async fn answer(app: &Shared, question: Question) -> Result<Response, ApiError> {
    let body = app.service.ask(question).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

async fn sweeps(State(app): App) -> Result<Response, ApiError> {
    answer(&app, Question::Sweeps).await
}

async fn overview(State(app): App, parameters: Parameters) -> Result<Response, ApiError> {
    let asked = Asked::new(parameters)?;
    answer(&app, Question::Overview { sweep: asked.sweep()?, how: asked.how()? }).await
}

async fn trials(State(app): App, parameters: Parameters) -> Result<Response, ApiError> {
    answer(&app, Question::Trials { sweep: Asked::new(parameters)?.sweep()? }).await
}

async fn curves(State(app): App, parameters: Parameters) -> Result<Response, ApiError> {
    let asked = Asked::new(parameters)?;
    let metric = match asked.text("metric") {
        None | Some("valid") => CurveMetric::Valid,
        Some("train") => CurveMetric::Train,
        Some(other) => CurveMetric::Other(other.to_owned()),
    };
    let how = RankBy { budget: asked.budget()?, ..RankBy::default() };
    let (sweep, points) = (asked.sweep()?, asked.points(400)?);
    answer(&app, Question::Curves { sweep, how, metric, points }).await
}

async fn run(State(app): App, parameters: Parameters) -> Result<Response, ApiError> {
    let asked = Asked::new(parameters)?;
    answer(&app, Question::Run { trial: asked.required("trial")?, points: asked.points(2000)? }).await
}

async fn stages(State(app): App, parameters: Parameters) -> Result<Response, ApiError> {
    answer(&app, Question::Stages { sweep: Asked::new(parameters)?.sweep()? }).await
}

async fn logs(State(app): App, parameters: Parameters) -> Result<Response, ApiError> {
    answer(&app, Question::Log { trial: Asked::new(parameters)?.required("trial")? }).await
}

async fn report(State(app): App, parameters: Parameters) -> Result<Response, ApiError> {
    let asked = Asked::new(parameters)?;
    let sweep = asked.sweep()?;
    let name = file_name(&sweep, "html");
    let body = app.service.ask(Question::Report { sweep, how: asked.how()? }).await?;
    Ok(download("text/html; charset=utf-8", name, body))
}

async fn csv(State(app): App, parameters: Parameters) -> Result<Response, ApiError> {
    let sweep = Asked::new(parameters)?.sweep()?;
    let name = file_name(&sweep, "csv");
    Ok(download("text/csv; charset=utf-8", name, app.service.ask(Question::Csv { sweep }).await?))
}

fn download(kind: &'static str, name: String, body: Bytes) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], body)
        .into_response()
}

/// A file name that is safe in a header and on every system.
fn file_name(sweep: &str, ending: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = sweep.chars().take(60).map(safe).collect();
    format!("{}.{ending}", name.trim_start_matches('.'))
}

/// The changes of a sweep, one stream for each tab.
async fn events(State(app): App, headers: HeaderMap, parameters: Parameters) -> Result<Response, ApiError> {
    let asked = Asked::new(parameters)?;
    let too_many = || ApiError::unavailable(format_args!("more than {MOST_TABS} tabs are open"));
    let permit = Arc::clone(&app.tabs).try_acquire_owned().map_err(|_| too_many())?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let cursor = last.or(asked.text("since")).map(str::to_owned);
    let tab = app.service.watch(asked.sweep()?, cursor).await?;
    let changes = stream::unfold((tab, permit), async |(mut tab, permit)| {
        let event = tab.next().await?;
        let event = Event::default().event(event.name).id(event.id).data(&*event.data);
        Some((Ok::<_, Infallible>(event), (tab, permit)))
    });
    // A comment at once, so that the browser knows that the stream is open.
    let stream = stream::iter([Ok(Event::default().comment(""))]).chain(changes);
    let alive = KeepAlive::new().interval(Duration::from_secs(15)).text("");
    Ok(Sse::new(stream).keep_alive(alive).into_response())
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn file_names_are_safe() {
        assert_eq!(file_name("mnist", "csv"), "mnist.csv");
        assert_eq!(file_name("../a\"\r\nb ü", "html"), "_a___b__.html");
    }
}
