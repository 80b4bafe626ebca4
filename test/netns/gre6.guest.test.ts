// GRE over an underlay of IPv6, on a kernel that has it: in a guest.
import { test } from "node:test";
import { lacks } from "../contract/kernel/linuxWorld.ts";
import { greTests } from "./lab/gre.ts";

if (lacks("ip6gretap")) test("this kernel lacks GRE: one that has it is a guest's");
else greTests(6);
