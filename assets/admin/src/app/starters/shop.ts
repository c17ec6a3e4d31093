// A shop: everybody sees what is for sale, people see their own orders.

import { type Starter, TIMES, USERS } from ".";

const mine = "customer = @request.auth.id";
const starter: Starter = {
    collections: [
        {
            id: "starter_product", name: "products", type: "base", listRule: "active = true", viewRule: "active = true",
            fields: [
                { name: "name", type: "text", required: true, presentable: true, max: 120 },
                { name: "description", type: "editor" },
                { name: "price", type: "number", required: true, min: 0 },
                { name: "stock", type: "number", min: 0, onlyInt: true },
                { name: "pictures", type: "file", maxSelect: 8, maxSize: 5242880, mimeTypes: ["image/jpeg", "image/png", "image/webp"], thumbs: ["100x100", "600x600f"] },
                { name: "active", type: "bool" },
                ...TIMES,
            ],
        },
        {
            id: "starter_orders1", name: "orders", type: "base", listRule: mine, viewRule: mine,
            createRule: "@request.auth.id != '' && customer = @request.auth.id && state = 'new'", updateRule: `${mine} && state = 'new' && @request.body.state:changed = false`,
            fields: [
                { name: "customer", type: "relation", required: true, collectionId: USERS, maxSelect: 1 },
                { name: "state", type: "select", required: true, maxSelect: 1, values: ["new", "paid", "sent", "done", "cancelled"] },
                { name: "address", type: "json" },
                { name: "note", type: "text", max: 500 },
                ...TIMES,
            ],
            indexes: ["CREATE INDEX `idx_orders_customer` ON `orders` (`customer`, `created`)"],
        },
        {
            id: "starter_lines01", name: "order_lines", type: "base",
            listRule: "order.customer = @request.auth.id", viewRule: "order.customer = @request.auth.id",
            createRule: "order.customer = @request.auth.id && order.state = 'new'", deleteRule: "order.customer = @request.auth.id && order.state = 'new'",
            fields: [
                { name: "order", type: "relation", required: true, collectionId: "starter_orders1", maxSelect: 1, cascadeDelete: true },
                { name: "product", type: "relation", required: true, collectionId: "starter_product", maxSelect: 1 },
                { name: "count", type: "number", required: true, min: 1, onlyInt: true },
                { name: "price", type: "number", min: 0 },
            ],
        },
    ],
    records: [
        { collection: "products", values: { name: "Shell", description: "<p>Found on a beach.</p>", price: 4.5, stock: 12, active: true } },
        { collection: "products", values: { name: "Pearl", description: "<p>Rare.</p>", price: 120, stock: 2, active: true } },
        { collection: "products", values: { name: "Sand", description: "<p>Not for sale yet.</p>", price: 1, stock: 1000, active: false } },
    ],
};
export default starter;
