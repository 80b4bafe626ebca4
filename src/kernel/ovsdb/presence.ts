// Whether a server of OVSDB is there, found out without staying connected to it.
import { connect } from "node:net";
import { Rpc, lost } from "./rpc.ts";

/** Whether a server at this socket says within this time that it has the database. Never rejects. */
export async function hasDatabase(path: string, database: string, timeoutMs: number): Promise<boolean> {
  const socket = connect(path);
  const isConnected = await new Promise<boolean>((resolve) => {
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
  });
  if (!isConnected) return false;
  const rpc = new Rpc(socket, { notified: () => undefined, ended: () => undefined });
  const call = { method: "list_dbs", params: [], timeoutMs };
  const hasIt = (answer: unknown) => Array.isArray(answer) && answer.includes(database);
  const answer = await rpc.call(call, hasIt).catch(() => false);
  rpc.close(lost("it was only asked what it has"));
  return answer;
}
