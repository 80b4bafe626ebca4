// Certificates as node's own TLS judges them: who trusts which CA, and what a certificate is good for.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { connect, createServer, type TLSSocket } from "node:tls";
import { Fault } from "../../../src/model/fault.ts";
import * as certifier from "../../../src/tls/certifier.ts";
import { newKey } from "../../../src/tls/key.ts";
import * as names from "../../../src/tls/names.ts";

const NOW = Date.now();
const DAY = 86_400_000;
const week = { fromMs: NOW - 3_600_000, toMs: NOW + 7 * DAY };
const years = { fromMs: NOW - DAY, toMs: NOW + 3650 * DAY };

const [old, fresh, other] = await Promise.all(["old", "new", "other"].map((name) => certifier.newCa(name, years)));
assert(old !== undefined && fresh !== undefined && other !== undefined);
const cross = await certifier.crossSigned(fresh, old);
const serverKey = newKey();
const server = await certifier.serverCertificate(serverKey, ["127.0.0.1", "::1", "box.lab"], fresh, week);
const hostKey = newKey();
const request = await certifier.readRequest(await certifier.requestFor("h1", hostKey));

/** While the CA is rotated: the server's certificate is by the new one, and both are trusted. */
const listener = createServer({
  key: serverKey,
  cert: [server, cross, old.certificate].join(""),
  ca: [fresh.certificate, old.certificate],
  requestCert: true,
  rejectUnauthorized: false,
  ...names.TLS_VERSION,
});
listener.on("secureConnection", (socket: TLSSocket) => {
  const shown = socket.getPeerX509Certificate();
  const judged = shown === undefined ? "none" : String(socket.authorizationError ?? shown.subject);
  socket.on("error", () => undefined).end(judged);
});
await once(listener.listen(0, "127.0.0.1"), "listening");
after(() => listener.close());

/** What the server makes of this client, or the code of the client's refusal. */
async function ask(options: object, servername: string = names.SERVER_NAME): Promise<string> {
  const { port } = listener.address() as AddressInfo;
  const socket = connect({ host: "127.0.0.1", port, servername, ...options });
  let text = "";
  try {
    for await (const chunk of socket.setEncoding("utf8")) text += String(chunk);
    return text;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

test("who knows the old CA alone trusts a server of the new one, and so does who knows the new one alone", async () => {
  assert.equal(await ask({ ca: old.certificate }), "none");
  assert.equal(await ask({ ca: fresh.certificate }), "none");
  assert.equal(await ask({ ca: cross, allowPartialTrustChain: true }), "none");
  assert.equal(await ask({ ca: other.certificate }), "SELF_SIGNED_CERT_IN_CHAIN");
  assert.equal(await ask({ ca: fresh.certificate }, "box.lab"), "none");
  assert.equal(await ask({ ca: fresh.certificate }, "elsewhere.lab"), "ERR_TLS_CERT_ALTNAME_INVALID");
  assert.match(await ask({ ca: fresh.certificate, maxVersion: "TLSv1.2" }), /PROTO/);
});

test("a certificate is good for its host, its CA and its time alone", async () => {
  const shown = async (cert: string, key = hostKey) => ask({ ca: fresh.certificate, key, cert });
  for (const ca of [fresh, old]) assert.equal(await shown(await certifier.hostCertificate(request, ca, week)), "CN=h1");
  const past = { fromMs: NOW - 2 * DAY, toMs: NOW - DAY };
  const later = { fromMs: NOW + DAY, toMs: NOW + 2 * DAY };
  const cases = [
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", await certifier.hostCertificate(request, other, week)],
    ["CERT_HAS_EXPIRED", await certifier.hostCertificate(request, fresh, past)],
    ["CERT_NOT_YET_VALID", await certifier.hostCertificate(request, fresh, later)],
    ["INVALID_PURPOSE", server, serverKey],
    ["INVALID_PURPOSE", other.certificate, other.key],
  ] as const;
  for (const [expected, cert, key] of cases) assert.equal(await shown(cert, key), expected);
});

test("who has signed a certificate is told by the key, and what it is by what it says", async () => {
  const host = await certifier.hostCertificate(request, fresh, week);
  const { isSignedBy, look } = certifier;
  assert.deepEqual([isSignedBy(host, fresh.certificate), isSignedBy(host, old.certificate)], [true, false]);
  assert.equal(isSignedBy(cross, old.certificate), true);
  const { name, pin, isHosts, toMs } = look(host);
  assert.deepEqual([name, pin, isHosts, toMs], ["h1", request.pin, true, Math.floor(week.toMs / 1000) * 1000]);
  for (const other of [server, cross, old.certificate]) assert.equal(look(other).isHosts, false);
});

test("a certificate does not outlive its CA", async () => {
  const cert = new X509Certificate(
    await certifier.hostCertificate(request, fresh, { fromMs: NOW, toMs: years.toMs + DAY }),
  );
  assert.equal(cert.validToDate.getTime(), Math.floor(years.toMs / 1000) * 1000);
});

test("the pin of a CA is that of its key: the same for the certificate that another CA has signed", () => {
  assert.equal(names.pinOfPem(cross), names.pinOfPem(fresh.certificate));
  assert.notEqual(names.pinOfPem(old.certificate), names.pinOfPem(fresh.certificate));
  assert.match(names.checkPin(names.pinOfPem(cross), "--ca-pin"), /^[\w-]{43}$/);
  for (const wrong of ["", "abc", `${names.pinOfPem(cross)}=`])
    assert.throws(
      () => names.checkPin(wrong, "--ca-pin"),
      (error) => error instanceof Fault && (wrong === "" || !error.message.includes(wrong)),
      wrong,
    );
});

test("a request is read with its host and key; anything else is refused", async () => {
  assert.equal(request.host, "h1");
  const issued = new X509Certificate(await certifier.hostCertificate(request, fresh, week));
  assert.equal(names.pinOf(issued), request.pin);
  const good = await certifier.requestFor("h1", hostKey);
  const bytes = Buffer.from(good.replaceAll(/-----.*-----|\n/g, ""), "base64");
  // In the signature.
  const last = bytes.length - 3;
  bytes.writeUInt8(bytes.readUInt8(last) ^ 1, last);
  const forged = good.replace(/(?<=-----\s)[^-]+/, `${bytes.toString("base64")}\n`);
  for (const wrong of ["", "csr", good.slice(0, 200), server, hostKey, forged])
    await assert.rejects(certifier.readRequest(wrong), { reason: "request-invalid" }, wrong);
});

test("a join token has the secret and the pin; a secret alone, of earlier builds, has dots or none", () => {
  const pin = names.pinOfPem(old.certificate);
  assert.deepEqual(names.joinTokenOf(names.joinTokenText("se.cret", pin)), { secret: "se.cret", pin });
  for (const secret of ["plain", "with.dot", `${pin}`]) assert.deepEqual(names.joinTokenOf(secret), { secret });
});

test("certificates of a file come one by one", () => {
  assert.deepEqual(names.certificatesIn(`# both\n${cross}${old.certificate}`), [cross, old.certificate]);
  assert.deepEqual(names.certificatesIn("nothing"), []);
});
