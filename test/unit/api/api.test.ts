// The API by what it answers, over inject: forms, refusals, who may what, the document. What needs a connection is in
// watches.test.ts.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Fault } from "../../../src/model/fault.ts";
import type { REASONS } from "../../../src/model/fault.ts";
import { ADMIN, type Ask, JOIN, type Reply, blue, claim, closeAll, fits, isProblem, open, report, web } from "./lab.ts";

after(closeAll);

test("a network's life, with ETags", async () => {
  const { ask } = await open();
  const made = await ask("PUT", "/v1/networks/blue", blue, { headers: { "if-none-match": "*" } });
  assert.deepEqual([made.status, made.headers["etag"], made.body.revision], [201, '"1"', 1]);
  fits("Network", made.body);
  isProblem(
    await ask("PUT", "/v1/networks/blue", blue, { headers: { "if-none-match": "*" } }),
    "revision-stale",
    /is at revision 1: the write was to make it/,
  );
  assert.deepEqual((await ask("GET", "/v1/networks/blue")).body, made.body);
  const changed = { spec: { ...blue.spec, mtu: 1400 } };
  isProblem(
    await ask("PUT", "/v1/networks/blue", changed, { headers: { "if-match": '"9"' } }),
    "revision-stale",
    /made for revision 9/,
  );
  const put = await ask("PUT", "/v1/networks/blue", changed, { headers: { "if-match": '"1"' } });
  assert.deepEqual([put.status, put.headers["etag"], put.body.spec.mtu], [200, '"2"', 1400]);
  const same = await ask("PUT", "/v1/networks/blue", changed, { headers: { "if-match": "*" } });
  assert.deepEqual([same.status, same.headers["etag"]], [200, '"2"']);
  for (const bad of ['W/"2"', "2", '"2", "3"'])
    isProblem(
      await ask("PUT", "/v1/networks/blue", changed, { headers: { "if-match": bad } }),
      "request-invalid",
      /If-Match/,
    );
  isProblem(
    await ask("DELETE", "/v1/networks/blue", undefined, { headers: { "if-match": '"1"' } }),
    "revision-stale",
    /revision 1/,
  );
  const gone = await ask("DELETE", "/v1/networks/blue");
  assert.deepEqual([gone.status, gone.body], [200, { revision: 3 }]);
  isProblem(await ask("DELETE", "/v1/networks/blue"), "network-unknown", /no network "blue"/);
  isProblem(await ask("GET", "/v1/networks/blue"), "network-unknown", /no network "blue".*weft network list/);
});

test("every answer fits the schema that the OpenAPI document gives it", async () => {
  const { ask } = await open();
  fits("Joined", (await ask("POST", "/v1/hosts/h1/join", claim(1), { token: JOIN })).body);
  await ask("POST", "/v1/hosts/h2/join", claim(2), { token: JOIN });
  await ask("PUT", "/v1/networks/blue", blue);
  await ask("PUT", "/v1/networks/dcos", { spec: { subnets: [{ cidr: "9.0.0.0/24", hostPrefix: 24 }] } });
  fits("Vrf", (await ask("PUT", "/v1/vrfs/tenant", { spec: {} })).body);
  fits("Endpoint", (await ask("POST", "/v1/endpoints", web)).body);
  fits("Heard", (await ask("PUT", "/v1/hosts/h1/report", report)).body);
  const status = (await ask("GET", "/v1/status")).body;
  fits("ClusterStatus", status);
  assert.deepEqual(
    status.conditions.map((each: { host: string; reason: string }) => [each.host, each.reason]),
    [["h2", "exhausted"]],
  );
  fits("Snapshot", (await ask("GET", "/v1/snapshot")).body);
  fits(
    "Applied",
    (await ask("POST", "/v1/apply", { resources: [{ kind: "network", name: "g", ...blue }], dryRun: true })).body,
  );
  fits("Version", (await ask("GET", "/v1/version")).body);
  const held = { network: "blue", first: "10.7.0.5", reason: "a printer", owner: "ops" };
  fits("Hold", (await ask("POST", "/v1/holds", held)).body);
  for (const kind of ["Vrf", "Network", "Host", "Block", "Vtep", "Endpoint", "Hold"] as const) {
    const list = (await ask("GET", `/v1/${kind.toLowerCase()}s`)).body;
    assert.ok(list.items.length > 0, kind);
    fits(`${kind}Page`, list);
    fits(kind, (await ask("GET", `/v1/${kind.toLowerCase()}s/${list.items[0].name}`)).body);
  }
  for (const kind of ["block", "vtep", "vrf", "host", "endpoint"])
    assert.equal((await ask("GET", `/v1/${kind}s/nobody`)).status, 404);
});

test("pages: every resource once, in order of names", async () => {
  const { ask } = await open();
  const names = ["b", "a", "d", "c", "e"];
  for (const name of names) await ask("PUT", `/v1/networks/${name}`, blue);
  const seen: string[] = [];
  for (let cursor: string | undefined = "", pages = 0; cursor !== undefined; pages++) {
    const { body }: Reply = await ask("GET", `/v1/networks?limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`);
    assert.equal(body.revision, 5);
    seen.push(...body.items.map((each: { name: string }) => each.name));
    cursor = body.cursor;
    assert.ok(pages < 4);
  }
  assert.deepEqual(seen, names.toSorted());
  for (const [limit, cursor] of [
    [4, "d"],
    [5, undefined],
    [6, undefined],
  ] as const)
    assert.equal((await ask("GET", `/v1/networks?limit=${limit}`)).body.cursor, cursor, `of ${limit}`);
  assert.deepEqual(
    (await ask("GET", "/v1/networks?cursor=bb")).body.items.map((each: { name: string }) => each.name),
    ["c", "d", "e"],
  );
  for (const limit of ["0", "x", "-1", "1.5", "10001"])
    isProblem(
      await ask("GET", `/v1/networks?limit=${limit}`),
      "request-invalid",
      /\?limit: expected a number from 1 to 10000/,
    );
});

test("every refusal is one clear problem and changes nothing", async () => {
  const { ask, control } = await open();
  await ask("POST", "/v1/hosts/h1/join", claim(1, { hostPrefixes: ["172.17.0.1/16"] }), { token: JOIN });
  await ask("PUT", "/v1/networks/green", { spec: { vrf: "shared", vni: 5000, subnets: [{ cidr: "10.0.0.0/8" }] } });
  await ask("PUT", "/v1/networks/dcos", { spec: { subnets: [{ cidr: "9.0.0.0/24", hostPrefix: 24 }] } });
  const before = await control.snapshot({ role: "admin" });
  const put = (spec: object, name = "blue") => ["PUT", `/v1/networks/${name}`, { spec }] as const;
  const subnets = [{ cidr: "10.7.0.0/16" }];
  const cases: readonly (readonly [readonly [string, string, unknown, Ask?], keyof typeof REASONS, RegExp, string])[] =
    [
      [
        put({ subnets: [{ cidr: "10.7.0.1/16" }] }),
        "cidr-invalid",
        /did you mean 10.7.0.0\/16/,
        "spec.subnets[0].cidr",
      ],
      [
        put({ subnets: [{ cidr: "10.7.0.0/16", hostPrefix: 8 }] }),
        "prefix-invalid",
        /does not fit/,
        "spec.subnets[0].hostPrefix",
      ],
      [put({ subnets, vrf: "shared" }), "overlap", /network "green" \(10.0.0.0\/8\)/, "spec.subnets[0].cidr"],
      [
        put({ subnets: [{ cidr: "192.168.0.0/16" }] }),
        "overlap",
        /host "h1" \(underlay address 192.168.0.1\)/,
        "spec.subnets[0].cidr",
      ],
      [
        put({ subnets: [{ cidr: "172.17.1.0/24" }] }),
        "overlap",
        /host "h1" \(172.17.0.0\/16\)/,
        "spec.subnets[0].cidr",
      ],
      [put({ subnets, vni: 5000 }), "vni-taken", /belongs to network\/green/, "spec.vni"],
      [put({ subnets, vni: 16_777_216 }), "vni-invalid", /16777215/, "spec.vni"],
      [put({ subnets, mtu: 1451 }), "mtu-invalid", /leaves 1450/, "spec.mtu"],
      [put({ subnets }, "default"), "name-reserved", /"default"/, "name"],
      [put({ subnets }, "a%20b"), "name-invalid", /"a b"/, "name"],
      [
        put({ subnets: [{ cidr: 7 }] }),
        "request-invalid",
        /spec.subnets\[0\].cidr: expected a string, got 7/,
        "spec.subnets[0].cidr",
      ],
      [put({ subnets, colour: "blue" }), "request-invalid", /spec.colour: unknown field/, "spec.colour"],
      [
        ["PUT", "/v1/networks/blue", undefined, { raw: '{"spec":\n {"subnets": [}}' }],
        "request-invalid",
        /not JSON/,
        "line 2, column 15",
      ],
      [["PUT", "/v1/networks/blue", undefined], "request-invalid", /expected JSON, got nothing/, "body"],
      [["POST", "/v1/endpoints", { ...web, network: "nowhere" }], "network-unknown", /no network "nowhere"/, "network"],
      [["POST", "/v1/endpoints", { ...web, network: "green", host: "h9" }], "host-unknown", /no host "h9"/, "host"],
      [
        ["POST", "/v1/endpoints", { ...web, network: "green", addresses: ["11.0.0.1"] }],
        "address-outside",
        /11.0.0.1 is outside/,
        "addresses[0]",
      ],
      [
        ["POST", "/v1/endpoints", { ...web, network: "dcos", addresses: ["9.0.1.2"] }],
        "address-outside",
        /host "h1" has/,
        "addresses[0]",
      ],
      [["POST", "/v1/hosts/h1/join", claim(2), { token: JOIN }], "host-claimed", /belongs to another agent/, "name"],
      [["POST", "/v1/hosts/h2/join", claim(1), { token: JOIN }], "host-claimed", /belongs to host "h1"/, "underlay"],
      [
        ["POST", "/v1/hosts/h2/join", { ...claim(2), underlay: "10.1.1.1" }, { token: JOIN }],
        "overlap",
        /lies in network "green"/,
        "underlay",
      ],
      [
        [
          "POST",
          "/v1/apply",
          {
            resources: [
              { kind: "network", name: "blue", spec: { subnets } },
              { kind: "network", name: "red", spec: { subnets, vni: 5000 } },
            ],
          },
        ],
        "vni-taken",
        /5000/,
        "resources[1].spec.vni",
      ],
      [["DELETE", "/v1/vrfs/shared", undefined], "in-use", /\[green\]/, ""],
      [["PUT", "/v1/hosts/h1/report", { ...report, host: "h2" }], "request-invalid", /as in the path/, "host"],
      [["DELETE", "/v1/networks/green?forse=true", undefined], "request-invalid", /forse: unknown parameter/, "?forse"],
      [["DELETE", "/v1/networks/green?force=yes", undefined], "request-invalid", /expected true or false/, "?force"],
      [["GET", "/v1/watch", undefined], "request-invalid", /\?from is missing/, "?from"],
      [["GET", "/v1/watch?from=99", undefined], "revision-stale", /another life/, ""],
    ];
  for (const [[method, url, body, more], reason, text, where] of cases) {
    const reply = await ask(method, url, body, more);
    isProblem(reply, reason, text);
    assert.equal(reply.body.where ?? "", where, reply.text);
    assert.deepEqual(await control.snapshot({ role: "admin" }), before, `${method} ${url} ${reason}`);
  }
});

test("who may what", async () => {
  const { ask } = await open();
  await ask("PUT", "/v1/networks/blue", blue);
  const { certificate: token } = (await ask("POST", "/v1/hosts/h1/join", claim(1), { token: JOIN })).body;
  await ask("POST", "/v1/hosts/h2/join", claim(2), { token: JOIN });
  for (const url of ["/livez", "/readyz"]) assert.equal((await ask("GET", url, undefined, { token: "" })).text, "ok\n");
  for (const url of [
    "/metrics",
    "/openapi.json",
    "/v1/version",
    "/v1/networks",
    "/v1/snapshot",
    "/v1/watch?from=0",
    "/nowhere",
  ]) {
    for (const wrong of ["", "guess", `${ADMIN}x`]) {
      const reply = await ask("GET", url, undefined, { token: wrong });
      isProblem(reply, "token-wrong", /token/);
      assert.equal(reply.headers["www-authenticate"], "Bearer");
    }
  }
  isProblem(await ask("PUT", "/v1/networks/red", undefined, { token: "guess", raw: "{" }), "token-wrong", /token/);
  const adminOnly = [
    ["PUT", "/v1/networks/red", blue],
    ["DELETE", "/v1/networks/blue"],
    ["PUT", "/v1/vrfs/red", { spec: {} }],
    ["POST", "/v1/apply", { resources: [] }],
    ["DELETE", "/v1/hosts/h2"],
    ["POST", "/v1/hosts/h2/reclaim"],
    ["POST", "/v1/hosts/h1/drain"],
    ["POST", "/v1/hosts/h1/resume"],
  ] as const;
  for (const [method, url, body] of adminOnly)
    isProblem(await ask(method, url, body, { token }), "forbidden", /host "h1" cannot/);
  for (const [method, url, body] of [
    ...adminOnly,
    ["GET", "/v1/networks"],
    ["GET", "/v1/watch?from=0"],
    ["POST", "/v1/endpoints", web],
  ] as const) {
    isProblem(await ask(method, url, body, { token: JOIN }), "forbidden", /join token/);
  }
  isProblem(
    await ask("POST", "/v1/endpoints", { ...web, host: "h2" }, { token }),
    "forbidden",
    /host "h1" cannot change/,
  );
  isProblem(
    await ask("PUT", "/v1/hosts/h2/report", { ...report, host: "h2" }, { token }),
    "forbidden",
    /cannot do this/,
  );
  await ask("POST", "/v1/endpoints", { ...web, host: "h2", owner: "theirs" });
  assert.deepEqual((await ask("GET", "/v1/endpoints", undefined, { token })).body.items, []);
  assert.equal((await ask("GET", "/v1/endpoints/theirs.eth0", undefined, { token })).status, 404);
  isProblem(await ask("DELETE", "/v1/endpoints/theirs.eth0", undefined, { token }), "forbidden", /of host "h2"/);
  await ask("DELETE", "/v1/hosts/h1");
  isProblem(
    await ask("GET", "/v1/networks", undefined, { token }),
    "host-deleted",
    /host "h1" was deleted at .*start its agent with a join token/,
  );
});

test("unknown paths, other methods, bad URLs and too much are problems, too", async () => {
  const { ask, app } = await open();
  isProblem(await ask("GET", "/v2/networks"), "not-found", /no \/v2\/networks/);
  isProblem(await ask("GET", "/v1/networks/a/b"), "not-found", /openapi.json/);
  const patch = await ask("PATCH", "/v1/networks/blue", {});
  isProblem(patch, "unsupported", /use GET or PUT or DELETE/, 405);
  assert.equal(patch.headers["allow"], "GET, PUT, DELETE");
  isProblem(await ask("POST", "/v1/networks", {}), "unsupported", /use GET/, 405);
  isProblem(await ask("GET", "/v1/networks/%zz"), "request-invalid", /not a valid url/);
  isProblem(
    await ask("POST", "/v1/apply", undefined, { raw: " ".repeat(17 * 1024 * 1024) }),
    "request-invalid",
    /too large/,
    413,
  );
  const bearer = { authorization: `bearer   ${ADMIN}` };
  assert.equal((await app.inject({ method: "GET", url: "/v1/networks", headers: bearer })).statusCode, 200);
  assert.equal(
    (
      await app.inject({
        method: "PUT",
        url: "/v1/networks/x",
        headers: { ...bearer, "content-type": "text/plain" },
        payload: JSON.stringify(blue),
      })
    ).statusCode,
    201,
  );
});

test("an internal error shows nothing of itself, and is told to whoever runs the server", async () => {
  const secret = new Error("the password is 1234");
  const { ask, errors } = await open([
    {
      method: "GET",
      path: "/broken",
      summary: "Breaks.",
      access: "admin",
      answers: {},
      handle: () => {
        throw secret;
      },
    },
  ]);
  const reply = await ask("GET", "/broken");
  isProblem(reply, "internal", /an internal error/);
  assert.doesNotMatch(reply.text, /1234/);
  assert.deepEqual(errors, [secret]);
});

test("routes that are passed in are served and described like the others", async () => {
  const { ask } = await open([
    {
      method: "POST",
      path: "/overlay-master/agents/{id}",
      summary: "As elsewhere.",
      access: "admin",
      query: "any",
      answers: { 200: { type: "text/javascript" } },
      handle: ({ params, query, text }) => ({
        type: "text/javascript",
        text: `${query["jsonp"]}(${params["id"]},${text})`,
      }),
    },
  ]);
  const reply = await ask("POST", "/overlay-master/agents/a%2Fb?jsonp=f&_=1", undefined, { raw: "not json" });
  assert.deepEqual(
    [reply.status, reply.text, reply.headers["content-type"]],
    [200, "f(a/b,not json)", "text/javascript"],
  );
  isProblem(await ask("POST", "/overlay-master/agents/x", undefined, { token: JOIN }), "forbidden", /join token/);
  isProblem(await ask("GET", "/overlay-master/agents/x"), "unsupported", /use POST/, 405);
  const { body } = await ask("GET", "/openapi.json");
  assert.equal(body.paths["/overlay-master/agents/{id}"].post.summary, "As elsewhere.");
});

test("the OpenAPI document is whole: every reference leads somewhere, every parameter is in its path", async () => {
  const { ask } = await open();
  const { body } = await ask("GET", "/openapi.json");
  assert.equal(body.openapi, "3.1.0");
  assert.equal(body.info.version, "1.2.3");
  const references = JSON.stringify(body).match(/"#\/components\/schemas\/\w+"/g) ?? [];
  for (const reference of references)
    assert.ok(body.components.schemas[reference.slice(22, -1)] !== undefined, reference);
  const used = new Set(references.map((reference) => reference.slice(22, -1)));
  const unused = Object.keys(body.components.schemas).filter((name) => !used.has(name));
  // Lines of a watch have no place of their own in an answer's schema.
  assert.deepEqual(unused, ["ChangeSet"]);
  const ids: string[] = [];
  for (const [path, operations] of Object.entries<
    Record<string, { operationId: string; summary: string; parameters: { name: string; in: string }[] }>
  >(body.paths)) {
    for (const operation of Object.values(operations)) {
      ids.push(operation.operationId);
      assert.match(operation.summary, /^[A-Z].*\.$/);
      for (const parameter of operation.parameters)
        if (parameter.in === "path") assert.ok(path.includes(`{${parameter.name}}`));
    }
  }
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(ids.length >= 29, String(ids.length));
});

test("an operation in the OpenAPI document is what its route is", async () => {
  const { ask } = await open();
  const { body } = await ask("GET", "/openapi.json");
  const refused = { description: "Refused; `reason` says why.", content: problems };
  assert.deepEqual(body.paths["/livez"].get, {
    summary: "Whether the process answers.",
    operationId: "getLivez",
    security: [],
    parameters: [],
    responses: { 200: { description: "Done.", content: { "text/plain": {} } }, default: refused },
  });
  assert.deepEqual(body.security, [{ token: [] }]);
  const put = body.paths["/v1/networks/{name}"].put;
  const done = { description: "Done.", content: schemaOf("Network") };
  assert.deepEqual([put.operationId, put.security], ["putNetworksName", undefined]);
  assert.deepEqual(put.responses, { 200: done, 201: done, default: refused });
  assert.deepEqual(put.requestBody, { required: true, content: schemaOf("NetworkPut") });
  assert.deepEqual(
    put.parameters.map((one: { name: string; in: string; required?: true }) => [one.name, one.in, one.required]),
    [
      ["name", "path", true],
      ["force", "query", undefined],
      ["If-Match", "header", undefined],
      ["If-None-Match", "header", undefined],
    ],
  );
  for (const path of ["/livez", "/metrics", "/openapi.json"]) {
    const [type = ""] = Object.keys(body.paths[path].get.responses[200].content);
    assert.ok(String((await ask("GET", path)).headers["content-type"]).startsWith(type), path);
  }
});

const schemaOf = (name: string) => ({ "application/json": { schema: { $ref: `#/components/schemas/${name}` } } });
const problems = { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } };

test("a server that cannot write is not ready, and says so", async () => {
  const { ask, control } = await open();
  assert.equal((await ask("GET", "/readyz")).status, 200);
  control.ready = () => Promise.reject(new Fault("unavailable", { what: "the disk is full", fix: "make room" }));
  isProblem(await ask("GET", "/readyz"), "unavailable", /disk is full/);
  assert.equal((await ask("GET", "/livez")).status, 200);
});
