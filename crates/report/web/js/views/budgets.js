const budgetsView = { render: () => [h("p", null, "later")] };
