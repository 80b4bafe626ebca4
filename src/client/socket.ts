// Whether somebody listens on a unix socket: a file that nobody answers on is what a killed process left.
import { connect } from "node:net";

export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
