const lrsView = { render: () => [h("p", null, "later")] };
