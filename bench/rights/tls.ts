// The API of a control plane over TLS on loopback, asked by its users with tokens over connections that stay open.
import { Agent, createServer, request } from "node:https";
import type { AddressInfo } from "node:net";
import { createApi } from "../../src/api/api.ts";
import type { Control } from "../../src/control/control.ts";
import { newKey } from "../../src/tls/key.ts";
import { SERVER_NAME, TLS_VERSION } from "../../src/tls/names.ts";
import { CASES, clock } from "./world.ts";

export type Tls = {
  /** The body of the answer. */
  get(path: string, user: string): Promise<string>;
  close(): Promise<void>;
};

export async function openTls(control: Control): Promise<Tls> {
  const { authority } = control;
  if (authority === undefined) throw new Error("the world has a CA");
  const key = newKey();
  const { chain } = await authority.serverCertificate(key, []);
  const tls = { key, cert: chain, ca: authority.bundle, requestCert: true, rejectUnauthorized: false, ...TLS_VERSION };
  const app = createApi(control, { clock, version: "bench", listener: (handler) => createServer(tls, handler) });
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as AddressInfo;
  const agent = new Agent({ ca: authority.bundle, servername: SERVER_NAME, keepAlive: true });
  const admin = { identity: { role: "admin" }, credential: "bench", from: "bench" } as const;
  const tokens = new Map<string, string>();
  for (const { user } of CASES)
    tokens.set(user, (await control.logins.createToken(admin, { name: "bench", user })).token);
  return {
    get: (path, user) =>
      new Promise((resolve, reject) => {
        const headers = { authorization: `Bearer ${tokens.get(user) ?? ""}` };
        request({ host: "127.0.0.1", port, agent, path, headers }, (response) => {
          let text = "";
          response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
          response.on("end", () => (response.statusCode === 200 ? resolve(text) : reject(new Error(text))));
        })
          .on("error", reject)
          .end();
      }),
    async close() {
      agent.destroy();
      await app.close();
    },
  };
}
