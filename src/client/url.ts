// The address of a server as people write it. Parts that would not be used are refused, not ignored.
import { Fault } from "../model/fault.ts";

/** The text itself; a Fault `request-invalid` at `where`, with the address that was probably meant. */
export function serverUrl(text: string, where: string): string {
  socketPathOf(text, where);
  if (!/^http:/i.test(text)) return text;
  throw refusal(text, where, "servers speak TLS only", `write ${text.replace(/^http/i, "https")}`);
}

/** The path of a unix socket, undefined for what is asked over TCP; otherwise as `serverUrl`, but also without TLS. */
export function socketPathOf(text: string, where: string): string | undefined {
  if (/^unix:./.test(text)) return text.slice("unix:".length);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") {
    const { username, password, search, hash, host } = url;
    if (username + password + search + hash === "") return undefined;
    throw refusal(text, where, "a user, a password, a query or a fragment means nothing here", `write https://${host}`);
  }
  // `localhost:7474` is an URL whose scheme is localhost.
  const [, host] = /^([^/@\s]+:\d{1,5})\/?$/.exec(text) ?? [];
  const fix =
    host !== undefined && URL.canParse(`http://${host}`)
      ? `did you mean https://${host}?`
      : "write it like https://10.0.0.1:7474 or unix:/run/weft/server.sock";
  throw refusal(text, where, "it does not say how to speak to it: https or unix", fix);
}

function refusal(text: string, where: string, why: string, fix: string): Fault {
  return new Fault("request-invalid", {
    what: `"${withoutSecrets(text).slice(0, 200)}" is not the address of a server`,
    where,
    why,
    fix,
  });
}

/** Without what may be a password or a token: such texts end in logs. */
function withoutSecrets(text: string): string {
  return text.replace(/^(\w+:\/\/)?.*@/s, "$1***@").replace(/([?#]).*$/s, "$1***");
}
