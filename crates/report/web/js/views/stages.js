const stagesView = { render: () => [h("p", null, "later")] };
