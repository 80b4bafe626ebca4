import { storeContract } from "./contract.ts";
import { openMemoryStore } from "./memory.ts";

storeContract("the store in memory", openMemoryStore);
