// For tests: a real OpenID provider (oidc-provider) on the loopback device, and a browser that logs in there.
import assert from "node:assert/strict";
import { type RequestListener, createServer } from "node:http";
import type { AddressInfo } from "node:net";
// @ts-expect-error -- it has no types
import Provider from "oidc-provider";

export const CLIENT = { id: "weft", secret: "a-secret-of-this-server-0123456789abcdef" };
const REDIRECT = "http://127.0.0.1:7474/callback";
/** Who there is, and in which groups. */
const PEOPLE: Readonly<Record<string, readonly string[]>> = { anna: ["ops", "other"], bob: ["guests"], carl: [] };

/** Silent, and over when it is closed. */
export async function openProvider() {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        redirect_uris: [REDIRECT],
        grant_types: ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
        response_types: ["code"],
      },
    ],
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"] },
    features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
    cookies: { keys: ["only for tests"] },
    findAccount: (_: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: id, groups: PEOPLE[id] ?? [] }),
    }),
  }) as { readonly callback: () => RequestListener };
  server.on("request", provider.callback());
  return {
    settings: { issuer, clientId: CLIENT.id, clientSecret: CLIENT.secret, redirect: REDIRECT },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A browser that keeps cookies and fills in the provider's forms. */
export class Browser {
  readonly #cookies = new Map<string, string>();

  /** Logs in, agrees, and gives the address at which it would come back. */
  async logIn(url: string, user: string): Promise<string> {
    let next = url;
    for (let step = 0; step < 12; step++) {
      const page = await this.#get(next);
      const to = page.headers.get("location");
      if (to?.startsWith(REDIRECT) === true) return to;
      next = to === null ? await this.#submit(next, await page.text(), user) : new URL(to, next).href;
    }
    throw new Error("it does not come back");
  }

  /** Enters a code of a device, logs in, and agrees. */
  async enter(url: string, code: string, user: string): Promise<void> {
    let [next, text] = [url, await (await this.#get(url)).text()];
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(text)?.[1] ?? "";
    let page = await this.#post(next, { xsrf, user_code: code });
    for (let step = 0; step < 12; step++) {
      const to = page.headers.get("location");
      if (to !== null) {
        next = new URL(to, next).href;
        page = await this.#get(next);
        continue;
      }
      text = await page.text();
      if (/Sign-in Success/.test(text)) return;
      if (/name="confirm"/.test(text)) {
        const again = /name="xsrf" value="([^"]+)"/.exec(text)?.[1] ?? "";
        page = await this.#post(url, { xsrf: again, user_code: code.replaceAll("-", ""), confirm: "yes" });
      } else {
        next = await this.#submit(next, text, user);
        page = await this.#get(next);
      }
    }
    assert.fail(`the code is not taken: ${text.slice(0, 2000)}`);
  }

  async #submit(at: string, form: string, user: string): Promise<string> {
    const prompt = /name="prompt" value="(\w+)"/.exec(form)?.[1];
    assert.ok(prompt !== undefined, `no form at ${at}: ${form.slice(0, 500)}`);
    const answer = await this.#post(at, { prompt, login: user, password: "any" });
    return new URL(answer.headers.get("location") ?? "", at).href;
  }

  #get(url: string): Promise<Response> {
    return this.#send(url, {});
  }

  #post(url: string, body: Record<string, string>): Promise<Response> {
    return this.#send(url, { method: "POST", body: new URLSearchParams(body) });
  }

  async #send(url: string, more: RequestInit): Promise<Response> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, { ...more, redirect: "manual", headers: { cookie } });
    for (const each of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(each) ?? [];
      if (value === "") this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return response;
  }
}
