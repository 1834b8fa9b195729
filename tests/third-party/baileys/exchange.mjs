// Baileys, unmodified but for the root it trusts, against our own channel of paired devices: the shipped
// server on SQLite, over its API, beside the multi-device sandbox.
//
//   SANDBOX_BIN=…/examples/serve_multi_device SERVER_BIN=…/kabar node --test exchange.mjs
import './exchange/town.mjs';
import './exchange/pairing.mjs';
import './exchange/words.mjs';
import './exchange/things.mjs';
import './exchange/group.mjs';
import './exchange/repairs.mjs';
import './exchange/absence.mjs';
import './exchange/lid.mjs';
import './exchange/end.mjs';
