// Who has no credential that counts gets no answer: every route over the real TLS listener, without a credential, or
// with a certificate of another CA, of another time, of the server, of nobody that joined.
import assert from "node:assert/strict";
import { Agent, createServer as createTls, request } from "node:https";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { createApi } from "../../../src/api/api.ts";
import { Authority } from "../../../src/control/hosts/authority.ts";
import { Control } from "../../../src/control/control.ts";
import { credentialOfKey } from "../../../src/control/hosts/credentials.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import * as certifier from "../../../src/tls/certifier.ts";
import { newKey } from "../../../src/tls/key.ts";
import { SERVER_NAME, TLS_VERSION } from "../../../src/tls/names.ts";

const clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: () => new Promise<void>(() => {}),
};
const store = openMemoryStore({ cluster: "lab" });
const control = await Control.open(store, { clock, certifier });
const { authority } = control;
assert(authority !== undefined);
const key = newKey();
const { chain } = await authority.serverCertificate(key, []);
const tls = { key, cert: chain, ca: authority.bundle, requestCert: true, rejectUnauthorized: false, ...TLS_VERSION };
const app = createApi(control, { clock, version: "1", listener: (handler) => createTls(tls, handler) });
const agents: Agent[] = [];
before(() => app.listen({ port: 0, host: "127.0.0.1" }));
after(async () => {
  for (const agent of agents) agent.destroy();
  await app.close();
});

/** Gives the status and the reason of the answer. */
function asking(shown: { readonly cert?: string; readonly key?: string }) {
  const agent = new Agent({ ca: authority?.bundle, servername: SERVER_NAME, keepAlive: true, ...shown });
  agents.push(agent);
  return (method: string, path: string) =>
    new Promise<string>((resolve, reject) => {
      const { port } = app.server.address() as AddressInfo;
      const asked = request({ host: "127.0.0.1", port, agent, method, path }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        response.on("end", () => resolve(`${response.statusCode} ${/"reason":"([\w-]+)"/.exec(text)?.[1] ?? ""}`));
      });
      asked.on("error", reject).end();
    });
}

const DAY = 86_400_000;
const now = Date.now();
const week = { fromMs: now - DAY, toMs: now + 7 * DAY };
const own = newKey();
const asked = await certifier.readRequest(await certifier.requestFor("h1", own));
const another = await certifier.newCa("another", week);
const issued = await authority.issue(asked);
/** By the same CA, as it would have been then. */
const issuedAt = async (ms: number) =>
  (await (await Authority.open(store, { certifier, clock: { nowMs: () => ms } })).issue(asked)).certificate;
/** With the name of the CA, and signed by nobody but its maker. */
const forgedAt = async (fromMs: number) => {
  const { key: by } = await certifier.newCa("forger", week);
  const span = { fromMs, toMs: fromMs + 7 * DAY };
  return certifier.hostCertificate(asked, { key: by, certificate: authority.bundle }, span);
};
const SHOWN = {
  "no credential": [{}, "401 token-wrong"],
  "a certificate of another CA": [
    { key: own, cert: await certifier.hostCertificate(asked, another, week) },
    "401 certificate-refused",
  ],
  "an expired certificate": [{ key: own, cert: await issuedAt(now - 8 * DAY) }, "401 certificate-refused"],
  "a forged certificate": [{ key: own, cert: await forgedAt(now) }, "401 certificate-refused"],
  "a forged certificate of later": [{ key: own, cert: await forgedAt(now + DAY) }, "401 certificate-refused"],
  "a forged certificate that has expired": [
    { key: own, cert: await forgedAt(now - 9 * DAY) },
    "401 certificate-refused",
  ],
  "a certificate signed by itself": [{ key: another.key, cert: another.certificate }, "401 certificate-refused"],
  "the server's own certificate": [{ key, cert: chain }, "401 certificate-refused"],
  "a certificate of a key that never joined": [{ key: own, cert: issued.certificate }, "401 token-wrong"],
} as const;
const OPEN = ["GET /livez", "GET /readyz", "POST /v1/login"];

for (const [what, [shown, expected]] of Object.entries(SHOWN))
  test(`${what} opens no route but those that are open`, async () => {
    const ask = asking(shown);
    const document = await app.inject({ url: "/openapi.json", headers: { authorization: "Bearer none" } });
    assert.equal(document.statusCode, 401);
    for (const route of await routes()) {
      const [method = "", path = ""] = route.split(" ");
      if (OPEN.includes(route) || path.startsWith("/v1/login")) continue;
      const answer = await ask(method, path.replaceAll(/\{\w+\}/g, "h1"));
      assert.equal(answer, expected, `${route} with ${what}`);
    }
    assert.equal(await ask("GET", "/livez"), "200 ");
  });

test("a certificate that a clock made which was ahead is as good as others", async () => {
  const joinToken = "whoever-may-join-0123456789abcdef";
  await control.setToken("join", joinToken);
  const claim = { host: "h1", underlay: "192.168.0.1", underlayMtu: 1500, hostPrefixes: [] };
  await control.join(claim, joinToken, credentialOfKey(asked.pin));
  for (const atMs of [now, now + 365 * DAY])
    assert.equal(await asking({ key: own, cert: await issuedAt(atMs) })("GET", "/v1/snapshot"), "200 ");
  assert.equal(await asking({ key: own, cert: await forgedAt(now) })("GET", "/v1/snapshot"), "401 certificate-refused");
});

async function routes(): Promise<string[]> {
  await control.setToken("admin", "a".repeat(40)).catch(() => undefined);
  const { body } = await app.inject({ url: "/openapi.json", headers: { authorization: `Bearer ${"a".repeat(40)}` } });
  const { paths } = JSON.parse(body) as { paths: Record<string, Record<string, unknown>> };
  return Object.entries(paths).flatMap(([path, all]) => Object.keys(all).map((how) => `${how.toUpperCase()} ${path}`));
}
