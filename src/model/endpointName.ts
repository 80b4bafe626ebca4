// What an endpoint is called: by its host, which gives names also while the server is away, and by the server, which
// has those of all hosts (decision 24).
import { endpointName } from "./resource.ts";

/**
 * Of a local network's endpoint whose name another host's endpoint has already. On its host it has its plain name.
 */
export function qualifiedName(name: string, host: string): string {
  return `${name}@${host}`;
}
/** What an endpoint is called on its host. */
export function nameOnHost({ owner, ifname }: { readonly owner: string; readonly ifname: string }): string {
  return endpointName(owner, ifname);
}
/** The same, from the server's name for it. */
export function plainName(name: string, host: string): string {
  const suffix = qualifiedName("", host);
  return name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
}
