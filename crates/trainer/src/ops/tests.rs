//! Compares the operations with numbers from PyTorch, and their gradients with finite differences, on both paths: our kernels (f32)
//! and candle's operations (f64).

use candle_core::{DType, Device, Result, Tensor, Var};

use super::activation::Activation;
use super::binary_cross_entropy::binary_cross_entropy;
use super::conv::conv;
use super::cross_entropy::cross_entropy;
use super::layer_norm::layer_norm;
use super::linear::linear;
use super::pool::max_pool_2x2;
use super::rms_norm::rms_norm;
use super::softmax::softmax;

// The numbers below were printed by this program (torch 2.15.0, CPU): for each operation the loss and the first three elements of
// each gradient.
//
//   import torch
//   from torch.nn import functional as F
//   def fixed(*shape):
//       n = 1
//       for d in shape: n *= d
//       return (torch.arange(n, dtype=torch.float64) * 0.7371 % 1.9 - 0.95).reshape(shape)
//   def show(name, loss, *parameters):
//       loss.backward()
//       print(name, [float(x) for t in (loss, *(p.grad for p in parameters)) for x in t.flatten()[:3]])
//   def leaf(*shape): return fixed(*shape).requires_grad_()
//   for name, f in [("identity", lambda z: z), ("relu", F.relu), ("gelu", F.gelu), ("tanh", torch.tanh)]:
//       x, w, b = leaf(3, 5), leaf(5, 4), leaf(4)
//       show(name, (f(x @ w + b) * fixed(3, 4)).sum(), x, w, b)
//   x, w, b = leaf(2, 2, 6, 6), leaf(3, 2, 3, 3), leaf(3)
//   show("conv", (F.relu(F.conv2d(x, w, b)) * fixed(2, 3, 4, 4)).sum(), x, w, b)
//   x = leaf(2, 2, 4, 4)
//   show("pool", (F.max_pool2d(x, 2) * fixed(2, 2, 2, 2)).sum(), x)
//   x = leaf(3, 4)
//   show("cross entropy", F.cross_entropy(x, torch.tensor([2, 0, 3])), x)
//   x = leaf(3, 4)
//   show("binary", F.binary_cross_entropy_with_logits(4 * x, (fixed(3, 4) + 0.95) / 1.9, reduction="sum"), x)
//   x, w, b = leaf(3, 5), leaf(5), leaf(5)
//   show("norm", (F.layer_norm(x, (5,), w, b, 1e-5) * fixed(3, 5)).sum(), x, w, b)
const PYTORCH: &[(&str, &[f64])] = &[
    (
        "identity",
        &[
            3.220_862_868_809_998,
            1.630_549_739_999_999_7,
            -0.704_656_419_999_999_8,
            1.379_157_419_999_999_2,
            0.441_656_000_000_000_16,
            0.888_707_149_999_999_8,
            -0.251_691_699_999_999_85,
            -1.604_799_999_999_999_8,
            0.606_499_999_999_999_9,
            0.917_800_000_000_000_2,
        ],
    ),
    (
        "relu",
        &[
            0.688_937_049_150_000_2,
            0.320_112_05,
            -0.349_501_029_999_999_77,
            0.381_375_889_999_999_9,
            0.0,
            0.202_254_999_999_999_96,
            -0.251_691_699_999_999_85,
            0.0,
            -0.212_899_999_999_999_98,
            0.917_800_000_000_000_2,
        ],
    ),
    (
        "gelu",
        &[
            0.860_582_730_293_067_9,
            0.313_384_414_388_097_6,
            -0.303_657_964_603_865_07,
            0.375_328_308_949_195_6,
            0.055_200_995_337_087_75,
            0.490_934_945_391_333_4,
            -0.198_521_182_688_148_78,
            0.032_710_580_423_207,
            0.229_068_059_572_383_52,
            0.938_528_930_883_680_8,
        ],
    ),
    (
        "tanh",
        &[
            2.176_697_055_920_031,
            1.032_881_679_352_854_8,
            -0.483_430_561_907_126_24,
            0.874_455_121_521_357_6,
            0.538_959_540_316_371_5,
            0.862_445_803_469_172,
            -0.245_417_064_810_525_78,
            -0.639_535_634_641_058_8,
            0.633_501_684_418_082_3,
            0.490_041_366_641_086_7,
        ],
    ),
    (
        "conv",
        &[
            1.437_148_618_518_021_6,
            0.0,
            0.508_600_080_000_001_8,
            0.161_839_290_000_000_52,
            0.569_641_400_000_001_9,
            -0.367_949_800_000_000_27,
            1.111_259,
            -1.271_999_999_999_999_6,
            0.282_800_000_000_008_4,
            1.431_500_000_000_022,
        ],
    ),
    ("pool", &[-1.202_303_229_999_992_3, 0.0, 0.0, -0.212_899_999_999_999_98]),
    (
        "cross entropy",
        &[
            1.400_001_124_197_285_2,
            0.037_781_735_322_992_324,
            0.078_958_768_092_410_94,
            -0.168_320_080_094_086_42,
        ],
    ),
    (
        "binary",
        &[6.112_343_631_974_766, 0.087_525_083_744_521_9, -0.355_400_158_655_790_44, 0.458_788_118_520_129],
    ),
    (
        "norm",
        &[
            -2.888_520_490_363_399_4,
            0.502_108_518_971_616_1,
            -0.522_450_129_107_625_4,
            0.534_774_762_672_532_3,
            3.562_529_724_852_286,
            0.486_258_811_039_149_53,
            1.246_476_395_725_120_4,
            0.606_499_999_999_999_8,
            -0.982_199_999_999_999,
            1.229_100_000_000_000_7,
        ],
    ),
];

/// Operations without numbers from PyTorch. Finite differences check their f64 path, which uses candle's operations.
const MORE: [&str; 2] = ["rms norm", "softmax"];

/// The same numbers as `fixed` above.
fn numbers(shape: &[usize]) -> Vec<f64> {
    (0..shape.iter().product()).map(|i: usize| (i as f64 * 0.7371) % 1.9 - 0.95).collect()
}

fn fixed(shape: &[usize], dtype: DType) -> Result<Tensor> {
    Tensor::from_vec(numbers(shape), shape, &Device::Cpu)?.to_dtype(dtype)
}

/// Shapes of the parameters of each operation above.
fn shapes(name: &str) -> &'static [&'static [usize]] {
    match name {
        "conv" => &[&[2, 2, 6, 6], &[3, 2, 3, 3], &[3]],
        "pool" => &[&[2, 2, 4, 4]],
        "cross entropy" | "binary" => &[&[3, 4]],
        "norm" => &[&[3, 5], &[5], &[5]],
        "rms norm" => &[&[3, 5], &[5]],
        "softmax" => &[&[3, 5]],
        _ => &[&[3, 5], &[5, 4], &[4]],
    }
}

/// The loss of each operation above.
fn loss(name: &str, parameters: &[Tensor]) -> Result<Tensor> {
    let dtype = parameters[0].dtype();
    let weighed = |y: Tensor| (&y * fixed(y.dims(), dtype)?)?.sum_all();
    let activated =
        |activation| weighed(linear(&parameters[0], &parameters[1], &parameters[2], activation, true)?);
    match name {
        "identity" => activated(Activation::Identity),
        "relu" => activated(Activation::Relu),
        "gelu" => activated(Activation::Gelu),
        "tanh" => activated(Activation::Tanh),
        "conv" => weighed(conv(&parameters[0], &parameters[1], &parameters[2], true, true)?),
        "pool" => weighed(max_pool_2x2(&parameters[0])?),
        "cross entropy" => cross_entropy(&parameters[0], &Tensor::new(&[2u32, 0, 3], &Device::Cpu)?),
        "binary" => {
            let targets = ((fixed(&[3, 4], dtype)? + 0.95)? / 1.9)?;
            binary_cross_entropy(&(&parameters[0] * 4.0)?, &targets)
        }
        "rms norm" => weighed(rms_norm(&parameters[0], &parameters[1], 1e-5)?),
        "softmax" => weighed(softmax(&(&parameters[0] * 3.0)?)?),
        _ => weighed(layer_norm(&parameters[0], &parameters[1], &parameters[2], 1e-5)?),
    }
}

fn flat(tensor: &Tensor) -> Result<Vec<f64>> {
    tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
}

/// Loss and all gradients.
fn run(name: &str, dtype: DType) -> Result<(f64, Vec<Vec<f64>>)> {
    let make = |shape: &&[usize]| Var::from_tensor(&fixed(shape, dtype)?);
    let vars: Vec<Var> = shapes(name).iter().map(make).collect::<Result<_>>()?;
    let parameters: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let loss = loss(name, &parameters)?;
    let gradients = loss.backward()?;
    let gradient = |var: &Var| flat(gradients.get(var).expect("each parameter has a gradient"));
    Ok((flat(&loss)?[0], vars.iter().map(gradient).collect::<Result<_>>()?))
}

#[test]
fn operations_agree_with_pytorch() -> Result<()> {
    for (name, expected) in PYTORCH {
        for (dtype, tolerance) in [(DType::F64, 1e-9), (DType::F32, 2e-5)] {
            let (loss, gradients) = run(name, dtype)?;
            let gradients = gradients.iter().flat_map(|gradient| gradient.iter().take(3));
            let found: Vec<f64> = std::iter::once(loss).chain(gradients.copied()).collect();
            assert_eq!(found.len(), expected.len(), "{name}");
            for (x, y) in found.iter().zip(*expected) {
                assert!((x - y).abs() <= tolerance, "{name} {dtype:?}: {found:?} instead of {expected:?}");
            }
        }
    }
    Ok(())
}

/// The loss with one number of one parameter shifted.
fn shifted(name: &str, which: usize, i: usize, by: f64) -> Result<f64> {
    let parameters = shapes(name).iter().enumerate().map(|(at, shape)| {
        let mut values = numbers(shape);
        if at == which {
            values[i] += by;
        }
        Tensor::from_vec(values, *shape, &Device::Cpu)
    });
    Ok(flat(&loss(name, &parameters.collect::<Result<Vec<_>>>()?)?)?[0])
}

#[test]
fn gradients_agree_with_finite_differences() -> Result<()> {
    for name in PYTORCH.iter().map(|(name, _)| *name).chain(MORE) {
        let (_, gradients) = run(name, DType::F64)?;
        for (which, gradient) in gradients.iter().enumerate() {
            for (i, gradient) in gradient.iter().enumerate() {
                let slope = (shifted(name, which, i, 1e-6)? - shifted(name, which, i, -1e-6)?) / 2e-6;
                assert!((slope - gradient).abs() < 1e-7, "{name}, {which}[{i}]: {slope} and {gradient}");
            }
        }
    }
    Ok(())
}

#[test]
fn kernels_agree_with_candles_operations() -> Result<()> {
    for name in MORE {
        let [ours, theirs] = [run(name, DType::F32)?, run(name, DType::F64)?]
            .map(|(loss, gradients)| [vec![vec![loss]], gradients].concat().concat());
        for (a, b) in ours.iter().zip(&theirs) {
            assert!((a - b).abs() <= 2e-5, "{name}: {ours:?} instead of {theirs:?}");
        }
    }
    Ok(())
}

#[test]
fn mismatched_shapes_are_rejected() -> Result<()> {
    let tensor = |shape: &[usize]| fixed(shape, DType::F32);
    let linear = |x: &[usize], w: &[usize], b: &[usize]| {
        linear(&tensor(x)?, &tensor(w)?, &tensor(b)?, Activation::Relu, true)
    };
    assert!(linear(&[3, 5], &[5, 4], &[4]).is_ok());
    assert!(linear(&[3, 5], &[4, 5], &[5]).is_err() && linear(&[3, 5], &[5, 4], &[5]).is_err());
    let conv =
        |x: &[usize], w: &[usize], b: &[usize]| conv(&tensor(x)?, &tensor(w)?, &tensor(b)?, true, true);
    assert!(conv(&[1, 2, 6, 6], &[3, 2, 3, 3], &[3]).is_ok());
    assert!(conv(&[1, 2, 6, 6], &[3, 1, 3, 3], &[3]).is_err());
    assert!(conv(&[1, 2, 2, 6], &[3, 2, 3, 3], &[3]).is_err());
    assert!(max_pool_2x2(&tensor(&[1, 1, 3, 4])?).is_err());
    assert!(cross_entropy(&tensor(&[2, 3])?, &Tensor::new(&[0u32, 3], &Device::Cpu)?).is_err());
    assert!(binary_cross_entropy(&tensor(&[2, 3])?, &tensor(&[3, 2])?).is_err());
    assert!(rms_norm(&tensor(&[2, 3])?, &tensor(&[2])?, 1e-5).is_err());
    assert!(layer_norm(&tensor(&[2, 3])?, &tensor(&[2])?, &tensor(&[3])?, 1e-5).is_err());
    Ok(())
}
