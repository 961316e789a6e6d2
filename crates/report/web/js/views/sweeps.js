const sweepsView = { render: () => [h("p", null, "later")] };
