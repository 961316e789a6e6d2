//! Access rules and the headers of answers.

use dashboard::Options;

use crate::support::{Made, serve};

#[tokio::test]
async fn only_get_requests_to_known_names_are_answered() {
    let dir = tempfile::tempdir().expect("a folder");
    Made::new(dir.path()).await.close().await;
    let server =
        serve(dir.path(), Options { allow_hosts: vec!["box.example".to_owned()], ..Options::default() });
    for (request, headers, status) in [
        ("GET /", &[][..], 200),
        ("HEAD /", &[], 200),
        ("GET /api/sweeps", &[("Host", "localhost")], 200),
        ("GET /api/sweeps", &[("Host", "LOCALHOST:99")], 200),
        ("GET /api/sweeps", &[("Host", "box.example:443")], 200),
        ("GET /api/sweeps", &[("Host", "evil.example")], 403),
        ("GET /app.js", &[("Host", "evil.example:8080")], 403),
        ("POST /api/sweeps", &[("Content-Length", "0")], 405),
        ("DELETE /api/sweeps", &[], 405),
        ("OPTIONS /api/sweeps", &[], 405),
        ("POST /api/sweeps", &[("Host", "evil.example"), ("Content-Length", "0")], 403),
        ("GET /api/sweeps", &[("Content-Length", "5")], 413),
        ("GET /nothing", &[], 404),
        ("GET /api/../../etc/passwd", &[], 404),
        ("GET /api/trials", &[], 400),
        ("GET /api/trials?sweep=%ff%fe", &[], 404),
        ("GET /api/trials?sweep=x%27%20or%201=1--", &[], 404),
        ("GET /api/sweep?sweep=made&metric=worst", &[], 400),
        ("GET /api/sweep?sweep=made&budget=7", &[], 400),
        ("GET /api/sweep?sweep=made&budget=x", &[], 400),
        ("GET /api/curves?sweep=made&points=x", &[], 400),
        ("GET /api/run?trial=..%2f", &[], 400),
        ("GET /api/run?trial=%25", &[], 400),
    ] {
        let answer = server.send(request, headers);
        assert_eq!(answer.status, status, "{request} {headers:?}: {}", answer.body);
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{request}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{request}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'self'"), "{policy}");
        if !request.ends_with('/') && !request.contains("app.js") {
            assert_eq!(answer.header("cache-control"), "no-store", "{request}");
        }
        if status >= 400 && !request.starts_with("HEAD") {
            assert!(answer.json()["error"].as_str().is_some_and(|text| !text.is_empty()), "{request}");
        }
    }
    let long = format!("GET /api/trials?sweep={}", "x".repeat(9000));
    assert_eq!(server.send(&long, &[]).status, 414);
    assert_eq!(server.send("PUT /", &[]).header("allow"), "GET, HEAD");
}

#[tokio::test]
async fn assets_are_sent_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = serve(dir.path(), Options::default());
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/app.css", "text/css; charset=utf-8"),
        ("/favicon.svg", "image/svg+xml"),
    ] {
        let first = server.get(path);
        assert_eq!((first.status, first.header("content-type")), (200, kind));
        let etag = first.header("etag").to_owned();
        let again = server.send(&format!("GET {path}"), &[("If-None-Match", &etag)]);
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
    }
    let page = server.get("/").body;
    assert!(
        page.contains("src=\"app.js\"") && !page.contains("style=") && !page.contains("onclick"),
        "{page}"
    );
}

#[tokio::test]
async fn a_token_is_needed_and_moves_into_a_cookie() {
    let dir = tempfile::tempdir().expect("a folder");
    Made::new(dir.path()).await.close().await;
    let token = "secret-token-1";
    let server = serve(dir.path(), Options { token: token.parse().ok(), ..Options::default() });
    for path in ["/", "/app.js", "/api/sweeps", "/api/events?sweep=made", "/report.html?sweep=made"] {
        let answer = server.get(path);
        assert_eq!(answer.status, 401, "{path}");
        assert!(!answer.body.contains(token));
    }
    assert_eq!(server.get("/?token=secret-token-2").status, 401);
    let moved = server.get(&format!("/?sweep=made&token={token}"));
    assert_eq!((moved.status, moved.header("location")), (303, "./?sweep=made"));
    let cookie = moved.header("set-cookie").to_owned();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
    let pair = cookie.split(';').next().expect("a pair").to_owned();
    assert_eq!(server.send("GET /api/sweeps", &[("Cookie", &pair)]).status, 200);
    assert_eq!(server.send("GET /api/sweeps", &[("Cookie", "sweep_token_1=x")]).status, 401);
    let bearer = format!("Bearer {token}");
    assert_eq!(server.send("GET /api/sweeps", &[("Authorization", &bearer)]).status, 200);
    assert_eq!(server.get(&format!("/api/sweeps?token={token}")).status, 200);
    let both = server.send("GET /api/sweeps", &[("Authorization", &bearer), ("Host", "evil.example")]);
    assert_eq!(both.status, 403);
}
