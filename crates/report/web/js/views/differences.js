const differencesView = { render: () => [h("p", null, "later")] };
