// Who asks, by what is shown: a token of a role or host, a login or token of a person, or the server's own socket.
import { defined } from "../../model/defined.ts";
import type { Credentials } from "../hosts/credentials.ts";
import type { Caller, Identity } from "../write.ts";
import type { Logins } from "./logins.ts";

type Proofs = { readonly credentials: Credentials; readonly logins: Logins };

/** What `from` is for the server's unix socket, which only root can open. */
const SOCKET = "unix";

/** A Fault `token-wrong` if nothing is proved. Root on the server's own socket needs no token. */
export function callerOf(proofs: Proofs, token: string | undefined, from: string): Caller {
  if (token === undefined && from === SOCKET) return { identity: { role: "admin" }, credential: "socket", from };
  const found = credentialOf(proofs, token);
  if (found !== undefined)
    return {
      identity: found.identity,
      ...defined({ uid: found.uid }),
      credential: `${found.credential.kind} ${found.credential.name}`,
      from,
    };
  const identity = proofs.credentials.identify(token);
  return { identity, credential: nameOf(identity), from };
}

function nameOf(identity: Identity): string {
  return identity.role === "join" ? `join token ${identity.token}` : `${identity.role} token`;
}

/** Hosts ask most, so theirs are not looked up here. */
function credentialOf({ logins }: Proofs, token: string | undefined) {
  return token?.startsWith("weft_") === true ? logins.find(token) : undefined;
}
